// Original file: proto/funk/v1/kv.proto

import type { KvTold as _funk_v1_KvTold, KvTold__Output as _funk_v1_KvTold__Output } from '../../funk/v1/KvTold.ts';

export interface KvExchangeResponse {
  'answers'?: (_funk_v1_KvTold)[];
}

export interface KvExchangeResponse__Output {
  'answers': (_funk_v1_KvTold__Output)[];
}
