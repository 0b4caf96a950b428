// Original file: proto/funk/v1/kv.proto

import type { KvAsk as _funk_v1_KvAsk, KvAsk__Output as _funk_v1_KvAsk__Output } from '../../funk/v1/KvAsk.ts';

export interface KvExchangeRequest {
  'asks'?: (_funk_v1_KvAsk)[];
}

export interface KvExchangeRequest__Output {
  'asks': (_funk_v1_KvAsk__Output)[];
}
