// Original file: proto/funk/v1/node.proto

import type { Tag as _funk_v1_Tag, Tag__Output as _funk_v1_Tag__Output } from '../../funk/v1/Tag.ts';

export interface QueryRequest {
  'name'?: (string);
  'payload'?: (Buffer | Uint8Array | string);
  'nodes'?: (string)[];
  'tags'?: (_funk_v1_Tag)[];
  'wantsAck'?: (boolean);
  'relayFactor'?: (number);
  'timeoutMs'?: (number);
}

export interface QueryRequest__Output {
  'name': (string);
  'payload': (Buffer);
  'nodes': (string)[];
  'tags': (_funk_v1_Tag__Output)[];
  'wantsAck': (boolean);
  'relayFactor': (number);
  'timeoutMs': (number);
}
