// Original file: proto/funk/v1/kv.proto

import type { KvPair as _funk_v1_KvPair, KvPair__Output as _funk_v1_KvPair__Output } from '../../funk/v1/KvPair.ts';
import type { Long } from '@grpc/proto-loader';

export interface KvRangeResponse {
  'revision'?: (number | string | Long);
  'kvs'?: (_funk_v1_KvPair)[];
  'more'?: (boolean);
  'count'?: (number | string | Long);
}

export interface KvRangeResponse__Output {
  'revision': (number);
  'kvs': (_funk_v1_KvPair__Output)[];
  'more': (boolean);
  'count': (number);
}
