// Original file: proto/funk/v1/kv.proto

import type { KvPair as _funk_v1_KvPair, KvPair__Output as _funk_v1_KvPair__Output } from '../../funk/v1/KvPair.ts';
import type { Long } from '@grpc/proto-loader';

export interface KvDeleteResponse {
  'revision'?: (number | string | Long);
  'deleted'?: (number | string | Long);
  'prevKvs'?: (_funk_v1_KvPair)[];
}

export interface KvDeleteResponse__Output {
  'revision': (number);
  'deleted': (number);
  'prevKvs': (_funk_v1_KvPair__Output)[];
}
