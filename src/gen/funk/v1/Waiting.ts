// Original file: proto/funk/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface Waiting {
  'reason'?: (string);
  'nodes'?: (string)[];
  'forMs'?: (number | string | Long);
  'advice'?: (string);
}

export interface Waiting__Output {
  'reason': (string);
  'nodes': (string)[];
  'forMs': (number);
  'advice': (string);
}
