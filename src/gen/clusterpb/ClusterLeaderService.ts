// Original file: proto/clusterfunk/cluster.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { ConfirmShardMapRequest as _clusterpb_ConfirmShardMapRequest, ConfirmShardMapRequest__Output as _clusterpb_ConfirmShardMapRequest__Output } from '../clusterpb/ConfirmShardMapRequest.ts';
import type { ConfirmShardMapResponse as _clusterpb_ConfirmShardMapResponse, ConfirmShardMapResponse__Output as _clusterpb_ConfirmShardMapResponse__Output } from '../clusterpb/ConfirmShardMapResponse.ts';

export interface ClusterLeaderServiceDefinition {
  ConfirmShardMap: MethodDefinition<_clusterpb_ConfirmShardMapRequest, _clusterpb_ConfirmShardMapResponse, _clusterpb_ConfirmShardMapRequest__Output, _clusterpb_ConfirmShardMapResponse__Output>
}
