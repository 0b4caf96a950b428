// Original file: proto/funk/v1/node.proto

import type { Status as _funk_v1_Status, Status__Output as _funk_v1_Status__Output } from '../../funk/v1/Status.ts';

export interface GetStatusResponse {
  'status'?: (_funk_v1_Status | null);
  'yourAddress'?: (string);
}

export interface GetStatusResponse__Output {
  'status': (_funk_v1_Status__Output | null);
  'yourAddress': (string);
}
