// Original file: proto/funk/v1/node.proto

import type { Member as _funk_v1_Member, Member__Output as _funk_v1_Member__Output } from '../../funk/v1/Member.ts';

export interface ListMembersResponse {
  'nodeId'?: (string);
  'leaderId'?: (string);
  'members'?: (_funk_v1_Member)[];
}

export interface ListMembersResponse__Output {
  'nodeId': (string);
  'leaderId': (string);
  'members': (_funk_v1_Member__Output)[];
}
