// Original file: proto/funk/v1/node.proto

import type { Tag as _funk_v1_Tag, Tag__Output as _funk_v1_Tag__Output } from '../../funk/v1/Tag.ts';
import type { Long } from '@grpc/proto-loader';

export interface Member {
  'name'?: (string);
  'role'?: (string);
  'kind'?: (string);
  'serfState'?: (string);
  'raftState'?: (string);
  'address'?: (string);
  'memberId'?: (string);
  'ageMs'?: (number | string | Long);
  'heardMsAgo'?: (number | string | Long);
  'tags'?: (_funk_v1_Tag)[];
  'managementAddress'?: (string);
  'tagsIncomplete'?: (boolean);
}

export interface Member__Output {
  'name': (string);
  'role': (string);
  'kind': (string);
  'serfState': (string);
  'raftState': (string);
  'address': (string);
  'memberId': (string);
  'ageMs': (number);
  'heardMsAgo': (number);
  'tags': (_funk_v1_Tag__Output)[];
  'managementAddress': (string);
  'tagsIncomplete': (boolean);
}
