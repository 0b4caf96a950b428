// Original file: proto/clusterfunk/management.proto

import type { Error as _managepb_Error, Error__Output as _managepb_Error__Output } from '../managepb/Error.ts';
import type { EndpointInfo as _managepb_EndpointInfo, EndpointInfo__Output as _managepb_EndpointInfo__Output } from '../managepb/EndpointInfo.ts';

export interface EndpointResponse {
  'nodeId'?: (string);
  'error'?: (_managepb_Error | null);
  'endpoints'?: (_managepb_EndpointInfo)[];
}

export interface EndpointResponse__Output {
  'nodeId': (string);
  'error': (_managepb_Error__Output | null);
  'endpoints': (_managepb_EndpointInfo__Output)[];
}
