// Original file: proto/funk/v1/kv.proto

import type { KvOperationResult as _funk_v1_KvOperationResult, KvOperationResult__Output as _funk_v1_KvOperationResult__Output } from '../../funk/v1/KvOperationResult.ts';
import type { Long } from '@grpc/proto-loader';

export interface KvTxnResponse {
  'revision'?: (number | string | Long);
  'succeeded'?: (boolean);
  'results'?: (_funk_v1_KvOperationResult)[];
}

export interface KvTxnResponse__Output {
  'revision': (number);
  'succeeded': (boolean);
  'results': (_funk_v1_KvOperationResult__Output)[];
}
