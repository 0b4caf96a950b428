// Original file: proto/clusterfunk/management.proto

import type { Error as _managepb_Error, Error__Output as _managepb_Error__Output } from '../managepb/Error.ts';
import type { Long } from '@grpc/proto-loader';

export interface GetStatusResponse {
  'localNodeId'?: (string);
  'leaderNodeId'?: (string);
  'raftNodeCount'?: (number);
  'serfNodeCount'?: (number);
  'localRole'?: (string);
  'localState'?: (string);
  'clusterName'?: (string);
  'shardCount'?: (number);
  'shardWeight'?: (number);
  'error'?: (_managepb_Error | null);
  'created'?: (number | string | Long);
  'yourIp'?: (string);
}

export interface GetStatusResponse__Output {
  'localNodeId': (string);
  'leaderNodeId': (string);
  'raftNodeCount': (number);
  'serfNodeCount': (number);
  'localRole': (string);
  'localState': (string);
  'clusterName': (string);
  'shardCount': (number);
  'shardWeight': (number);
  'error': (_managepb_Error__Output | null);
  'created': (number);
  'yourIp': (string);
}
