// Original file: proto/funk/v1/kv.proto

import type { KvPutResponse as _funk_v1_KvPutResponse, KvPutResponse__Output as _funk_v1_KvPutResponse__Output } from '../../funk/v1/KvPutResponse.ts';
import type { KvRangeResponse as _funk_v1_KvRangeResponse, KvRangeResponse__Output as _funk_v1_KvRangeResponse__Output } from '../../funk/v1/KvRangeResponse.ts';
import type { KvDeleteResponse as _funk_v1_KvDeleteResponse, KvDeleteResponse__Output as _funk_v1_KvDeleteResponse__Output } from '../../funk/v1/KvDeleteResponse.ts';
import type { KvTxnResponse as _funk_v1_KvTxnResponse, KvTxnResponse__Output as _funk_v1_KvTxnResponse__Output } from '../../funk/v1/KvTxnResponse.ts';
import type { KvOpenSessionResponse as _funk_v1_KvOpenSessionResponse, KvOpenSessionResponse__Output as _funk_v1_KvOpenSessionResponse__Output } from '../../funk/v1/KvOpenSessionResponse.ts';
import type { KvCloseSessionResponse as _funk_v1_KvCloseSessionResponse, KvCloseSessionResponse__Output as _funk_v1_KvCloseSessionResponse__Output } from '../../funk/v1/KvCloseSessionResponse.ts';
import type { KvError as _funk_v1_KvError, KvError__Output as _funk_v1_KvError__Output } from '../../funk/v1/KvError.ts';
import type { Long } from '@grpc/proto-loader';

export interface KvTold {
  'id'?: (number | string | Long);
  'put'?: (_funk_v1_KvPutResponse | null);
  'range'?: (_funk_v1_KvRangeResponse | null);
  'delete'?: (_funk_v1_KvDeleteResponse | null);
  'txn'?: (_funk_v1_KvTxnResponse | null);
  'openSession'?: (_funk_v1_KvOpenSessionResponse | null);
  'closeSession'?: (_funk_v1_KvCloseSessionResponse | null);
  'error'?: (_funk_v1_KvError | null);
  'answer'?: "put"|"range"|"delete"|"txn"|"openSession"|"closeSession"|"error";
}

export interface KvTold__Output {
  'id': (number);
  'put'?: (_funk_v1_KvPutResponse__Output | null);
  'range'?: (_funk_v1_KvRangeResponse__Output | null);
  'delete'?: (_funk_v1_KvDeleteResponse__Output | null);
  'txn'?: (_funk_v1_KvTxnResponse__Output | null);
  'openSession'?: (_funk_v1_KvOpenSessionResponse__Output | null);
  'closeSession'?: (_funk_v1_KvCloseSessionResponse__Output | null);
  'error'?: (_funk_v1_KvError__Output | null);
  'answer'?: "put"|"range"|"delete"|"txn"|"openSession"|"closeSession"|"error";
}
