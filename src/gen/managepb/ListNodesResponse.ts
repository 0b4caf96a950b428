// Original file: proto/clusterfunk/management.proto

import type { NodeInfo as _managepb_NodeInfo, NodeInfo__Output as _managepb_NodeInfo__Output } from '../managepb/NodeInfo.ts';
import type { Error as _managepb_Error, Error__Output as _managepb_Error__Output } from '../managepb/Error.ts';

export interface ListNodesResponse {
  'nodeId'?: (string);
  'leaderId'?: (string);
  'nodes'?: (_managepb_NodeInfo)[];
  'error'?: (_managepb_Error | null);
}

export interface ListNodesResponse__Output {
  'nodeId': (string);
  'leaderId': (string);
  'nodes': (_managepb_NodeInfo__Output)[];
  'error': (_managepb_Error__Output | null);
}
