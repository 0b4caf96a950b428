// Original file: proto/funk/v1/kv.proto

import type { KvPair as _funk_v1_KvPair, KvPair__Output as _funk_v1_KvPair__Output } from '../../funk/v1/KvPair.ts';
import type { Long } from '@grpc/proto-loader';

export interface KvPutResponse {
  'revision'?: (number | string | Long);
  'prevKv'?: (_funk_v1_KvPair | null);
}

export interface KvPutResponse__Output {
  'revision': (number);
  'prevKv': (_funk_v1_KvPair__Output | null);
}
