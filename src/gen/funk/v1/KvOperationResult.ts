// Original file: proto/funk/v1/kv.proto

import type { KvPutResponse as _funk_v1_KvPutResponse, KvPutResponse__Output as _funk_v1_KvPutResponse__Output } from '../../funk/v1/KvPutResponse.ts';
import type { KvDeleteResponse as _funk_v1_KvDeleteResponse, KvDeleteResponse__Output as _funk_v1_KvDeleteResponse__Output } from '../../funk/v1/KvDeleteResponse.ts';
import type { KvRangeResponse as _funk_v1_KvRangeResponse, KvRangeResponse__Output as _funk_v1_KvRangeResponse__Output } from '../../funk/v1/KvRangeResponse.ts';

export interface KvOperationResult {
  'put'?: (_funk_v1_KvPutResponse | null);
  'delete'?: (_funk_v1_KvDeleteResponse | null);
  'range'?: (_funk_v1_KvRangeResponse | null);
  'result'?: "put"|"delete"|"range";
}

export interface KvOperationResult__Output {
  'put'?: (_funk_v1_KvPutResponse__Output | null);
  'delete'?: (_funk_v1_KvDeleteResponse__Output | null);
  'range'?: (_funk_v1_KvRangeResponse__Output | null);
  'result'?: "put"|"delete"|"range";
}
