// Original file: proto/funk/v1/node.proto

import type { Tag as _funk_v1_Tag, Tag__Output as _funk_v1_Tag__Output } from '../../funk/v1/Tag.ts';

export interface ListMembersRequest {
  'name'?: (string);
  'status'?: (string);
  'tags'?: (_funk_v1_Tag)[];
}

export interface ListMembersRequest__Output {
  'name': (string);
  'status': (string);
  'tags': (_funk_v1_Tag__Output)[];
}
