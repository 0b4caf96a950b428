// Original file: proto/funk/v1/node.proto

import type { QueryAck as _funk_v1_QueryAck, QueryAck__Output as _funk_v1_QueryAck__Output } from '../../funk/v1/QueryAck.ts';
import type { QueryAnswer as _funk_v1_QueryAnswer, QueryAnswer__Output as _funk_v1_QueryAnswer__Output } from '../../funk/v1/QueryAnswer.ts';
import type { QueryEnd as _funk_v1_QueryEnd, QueryEnd__Output as _funk_v1_QueryEnd__Output } from '../../funk/v1/QueryEnd.ts';

export interface QueryResponse {
  'ack'?: (_funk_v1_QueryAck | null);
  'response'?: (_funk_v1_QueryAnswer | null);
  'end'?: (_funk_v1_QueryEnd | null);
  'answer'?: "ack"|"response"|"end";
}

export interface QueryResponse__Output {
  'ack'?: (_funk_v1_QueryAck__Output | null);
  'response'?: (_funk_v1_QueryAnswer__Output | null);
  'end'?: (_funk_v1_QueryEnd__Output | null);
  'answer'?: "ack"|"response"|"end";
}
