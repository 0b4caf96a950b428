// Original file: proto/clusterfunk/management.proto

import type { Error as _managepb_Error, Error__Output as _managepb_Error__Output } from '../managepb/Error.ts';

export interface AddNodeResponse {
  'nodeId'?: (string);
  'error'?: (_managepb_Error | null);
}

export interface AddNodeResponse__Output {
  'nodeId': (string);
  'error': (_managepb_Error__Output | null);
}
