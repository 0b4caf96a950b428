// Original file: proto/funk/v1/node.proto

import type { Member as _funk_v1_Member, Member__Output as _funk_v1_Member__Output } from '../../funk/v1/Member.ts';

export interface Members {
  'members'?: (_funk_v1_Member)[];
}

export interface Members__Output {
  'members': (_funk_v1_Member__Output)[];
}
