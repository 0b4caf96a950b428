// Original file: proto/funk/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface ShardChange {
  'epoch'?: (number | string | Long);
  'gaps'?: (number)[];
  'owners'?: (number)[];
  'rank'?: (number);
}

export interface ShardChange__Output {
  'epoch': (number);
  'gaps': (number)[];
  'owners': (number)[];
  'rank': (number);
}
