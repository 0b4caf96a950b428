// Original file: proto/funk/v1/kv.proto

import type { KvPutRequest as _funk_v1_KvPutRequest, KvPutRequest__Output as _funk_v1_KvPutRequest__Output } from '../../funk/v1/KvPutRequest.ts';
import type { KvRangeRequest as _funk_v1_KvRangeRequest, KvRangeRequest__Output as _funk_v1_KvRangeRequest__Output } from '../../funk/v1/KvRangeRequest.ts';
import type { KvDeleteRequest as _funk_v1_KvDeleteRequest, KvDeleteRequest__Output as _funk_v1_KvDeleteRequest__Output } from '../../funk/v1/KvDeleteRequest.ts';
import type { KvTxnRequest as _funk_v1_KvTxnRequest, KvTxnRequest__Output as _funk_v1_KvTxnRequest__Output } from '../../funk/v1/KvTxnRequest.ts';
import type { KvOpenSessionRequest as _funk_v1_KvOpenSessionRequest, KvOpenSessionRequest__Output as _funk_v1_KvOpenSessionRequest__Output } from '../../funk/v1/KvOpenSessionRequest.ts';
import type { KvCloseSessionRequest as _funk_v1_KvCloseSessionRequest, KvCloseSessionRequest__Output as _funk_v1_KvCloseSessionRequest__Output } from '../../funk/v1/KvCloseSessionRequest.ts';
import type { Long } from '@grpc/proto-loader';

export interface KvAsk {
  'id'?: (number | string | Long);
  'put'?: (_funk_v1_KvPutRequest | null);
  'range'?: (_funk_v1_KvRangeRequest | null);
  'delete'?: (_funk_v1_KvDeleteRequest | null);
  'txn'?: (_funk_v1_KvTxnRequest | null);
  'openSession'?: (_funk_v1_KvOpenSessionRequest | null);
  'closeSession'?: (_funk_v1_KvCloseSessionRequest | null);
  'request'?: "put"|"range"|"delete"|"txn"|"openSession"|"closeSession";
}

export interface KvAsk__Output {
  'id': (number);
  'put'?: (_funk_v1_KvPutRequest__Output | null);
  'range'?: (_funk_v1_KvRangeRequest__Output | null);
  'delete'?: (_funk_v1_KvDeleteRequest__Output | null);
  'txn'?: (_funk_v1_KvTxnRequest__Output | null);
  'openSession'?: (_funk_v1_KvOpenSessionRequest__Output | null);
  'closeSession'?: (_funk_v1_KvCloseSessionRequest__Output | null);
  'request'?: "put"|"range"|"delete"|"txn"|"openSession"|"closeSession";
}
