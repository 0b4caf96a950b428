// Original file: proto/funk/v1/kv.proto

import type { KvPutRequest as _funk_v1_KvPutRequest, KvPutRequest__Output as _funk_v1_KvPutRequest__Output } from '../../funk/v1/KvPutRequest.ts';
import type { KvDeleteRequest as _funk_v1_KvDeleteRequest, KvDeleteRequest__Output as _funk_v1_KvDeleteRequest__Output } from '../../funk/v1/KvDeleteRequest.ts';
import type { KvRangeRequest as _funk_v1_KvRangeRequest, KvRangeRequest__Output as _funk_v1_KvRangeRequest__Output } from '../../funk/v1/KvRangeRequest.ts';

export interface KvOperation {
  'put'?: (_funk_v1_KvPutRequest | null);
  'delete'?: (_funk_v1_KvDeleteRequest | null);
  'range'?: (_funk_v1_KvRangeRequest | null);
  'operation'?: "put"|"delete"|"range";
}

export interface KvOperation__Output {
  'put'?: (_funk_v1_KvPutRequest__Output | null);
  'delete'?: (_funk_v1_KvDeleteRequest__Output | null);
  'range'?: (_funk_v1_KvRangeRequest__Output | null);
  'operation'?: "put"|"delete"|"range";
}
