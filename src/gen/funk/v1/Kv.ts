// Original file: proto/funk/v1/kv.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { KvCloseSessionRequest as _funk_v1_KvCloseSessionRequest, KvCloseSessionRequest__Output as _funk_v1_KvCloseSessionRequest__Output } from '../../funk/v1/KvCloseSessionRequest.ts';
import type { KvCloseSessionResponse as _funk_v1_KvCloseSessionResponse, KvCloseSessionResponse__Output as _funk_v1_KvCloseSessionResponse__Output } from '../../funk/v1/KvCloseSessionResponse.ts';
import type { KvDeleteRequest as _funk_v1_KvDeleteRequest, KvDeleteRequest__Output as _funk_v1_KvDeleteRequest__Output } from '../../funk/v1/KvDeleteRequest.ts';
import type { KvDeleteResponse as _funk_v1_KvDeleteResponse, KvDeleteResponse__Output as _funk_v1_KvDeleteResponse__Output } from '../../funk/v1/KvDeleteResponse.ts';
import type { KvExchangeRequest as _funk_v1_KvExchangeRequest, KvExchangeRequest__Output as _funk_v1_KvExchangeRequest__Output } from '../../funk/v1/KvExchangeRequest.ts';
import type { KvExchangeResponse as _funk_v1_KvExchangeResponse, KvExchangeResponse__Output as _funk_v1_KvExchangeResponse__Output } from '../../funk/v1/KvExchangeResponse.ts';
import type { KvOpenSessionRequest as _funk_v1_KvOpenSessionRequest, KvOpenSessionRequest__Output as _funk_v1_KvOpenSessionRequest__Output } from '../../funk/v1/KvOpenSessionRequest.ts';
import type { KvOpenSessionResponse as _funk_v1_KvOpenSessionResponse, KvOpenSessionResponse__Output as _funk_v1_KvOpenSessionResponse__Output } from '../../funk/v1/KvOpenSessionResponse.ts';
import type { KvPutRequest as _funk_v1_KvPutRequest, KvPutRequest__Output as _funk_v1_KvPutRequest__Output } from '../../funk/v1/KvPutRequest.ts';
import type { KvPutResponse as _funk_v1_KvPutResponse, KvPutResponse__Output as _funk_v1_KvPutResponse__Output } from '../../funk/v1/KvPutResponse.ts';
import type { KvRangeRequest as _funk_v1_KvRangeRequest, KvRangeRequest__Output as _funk_v1_KvRangeRequest__Output } from '../../funk/v1/KvRangeRequest.ts';
import type { KvRangeResponse as _funk_v1_KvRangeResponse, KvRangeResponse__Output as _funk_v1_KvRangeResponse__Output } from '../../funk/v1/KvRangeResponse.ts';
import type { KvTxnRequest as _funk_v1_KvTxnRequest, KvTxnRequest__Output as _funk_v1_KvTxnRequest__Output } from '../../funk/v1/KvTxnRequest.ts';
import type { KvTxnResponse as _funk_v1_KvTxnResponse, KvTxnResponse__Output as _funk_v1_KvTxnResponse__Output } from '../../funk/v1/KvTxnResponse.ts';

export interface KvDefinition {
  CloseSession: MethodDefinition<_funk_v1_KvCloseSessionRequest, _funk_v1_KvCloseSessionResponse, _funk_v1_KvCloseSessionRequest__Output, _funk_v1_KvCloseSessionResponse__Output>
  Delete: MethodDefinition<_funk_v1_KvDeleteRequest, _funk_v1_KvDeleteResponse, _funk_v1_KvDeleteRequest__Output, _funk_v1_KvDeleteResponse__Output>
  Exchange: MethodDefinition<_funk_v1_KvExchangeRequest, _funk_v1_KvExchangeResponse, _funk_v1_KvExchangeRequest__Output, _funk_v1_KvExchangeResponse__Output>
  OpenSession: MethodDefinition<_funk_v1_KvOpenSessionRequest, _funk_v1_KvOpenSessionResponse, _funk_v1_KvOpenSessionRequest__Output, _funk_v1_KvOpenSessionResponse__Output>
  Put: MethodDefinition<_funk_v1_KvPutRequest, _funk_v1_KvPutResponse, _funk_v1_KvPutRequest__Output, _funk_v1_KvPutResponse__Output>
  Range: MethodDefinition<_funk_v1_KvRangeRequest, _funk_v1_KvRangeResponse, _funk_v1_KvRangeRequest__Output, _funk_v1_KvRangeResponse__Output>
  Txn: MethodDefinition<_funk_v1_KvTxnRequest, _funk_v1_KvTxnResponse, _funk_v1_KvTxnRequest__Output, _funk_v1_KvTxnResponse__Output>
}
