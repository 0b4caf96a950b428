// Original file: proto/funk/v1/node.proto

import type { KeyMessage as _funk_v1_KeyMessage, KeyMessage__Output as _funk_v1_KeyMessage__Output } from '../../funk/v1/KeyMessage.ts';
import type { KeyCount as _funk_v1_KeyCount, KeyCount__Output as _funk_v1_KeyCount__Output } from '../../funk/v1/KeyCount.ts';

export interface ManageKeysResponse {
  'nodeId'?: (string);
  'members'?: (number);
  'responses'?: (number);
  'failures'?: (number);
  'messages'?: (_funk_v1_KeyMessage)[];
  'keys'?: (_funk_v1_KeyCount)[];
  'primaryKeys'?: (_funk_v1_KeyCount)[];
}

export interface ManageKeysResponse__Output {
  'nodeId': (string);
  'members': (number);
  'responses': (number);
  'failures': (number);
  'messages': (_funk_v1_KeyMessage__Output)[];
  'keys': (_funk_v1_KeyCount__Output)[];
  'primaryKeys': (_funk_v1_KeyCount__Output)[];
}
