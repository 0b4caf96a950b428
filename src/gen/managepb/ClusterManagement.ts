// Original file: proto/clusterfunk/management.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { AddNodeRequest as _managepb_AddNodeRequest, AddNodeRequest__Output as _managepb_AddNodeRequest__Output } from '../managepb/AddNodeRequest.ts';
import type { AddNodeResponse as _managepb_AddNodeResponse, AddNodeResponse__Output as _managepb_AddNodeResponse__Output } from '../managepb/AddNodeResponse.ts';
import type { EndpointRequest as _managepb_EndpointRequest, EndpointRequest__Output as _managepb_EndpointRequest__Output } from '../managepb/EndpointRequest.ts';
import type { EndpointResponse as _managepb_EndpointResponse, EndpointResponse__Output as _managepb_EndpointResponse__Output } from '../managepb/EndpointResponse.ts';
import type { GetStatusRequest as _managepb_GetStatusRequest, GetStatusRequest__Output as _managepb_GetStatusRequest__Output } from '../managepb/GetStatusRequest.ts';
import type { GetStatusResponse as _managepb_GetStatusResponse, GetStatusResponse__Output as _managepb_GetStatusResponse__Output } from '../managepb/GetStatusResponse.ts';
import type { ListEndpointRequest as _managepb_ListEndpointRequest, ListEndpointRequest__Output as _managepb_ListEndpointRequest__Output } from '../managepb/ListEndpointRequest.ts';
import type { ListEndpointResponse as _managepb_ListEndpointResponse, ListEndpointResponse__Output as _managepb_ListEndpointResponse__Output } from '../managepb/ListEndpointResponse.ts';
import type { ListNodesRequest as _managepb_ListNodesRequest, ListNodesRequest__Output as _managepb_ListNodesRequest__Output } from '../managepb/ListNodesRequest.ts';
import type { ListNodesResponse as _managepb_ListNodesResponse, ListNodesResponse__Output as _managepb_ListNodesResponse__Output } from '../managepb/ListNodesResponse.ts';
import type { ListShardsRequest as _managepb_ListShardsRequest, ListShardsRequest__Output as _managepb_ListShardsRequest__Output } from '../managepb/ListShardsRequest.ts';
import type { ListShardsResponse as _managepb_ListShardsResponse, ListShardsResponse__Output as _managepb_ListShardsResponse__Output } from '../managepb/ListShardsResponse.ts';
import type { RemoveNodeRequest as _managepb_RemoveNodeRequest, RemoveNodeRequest__Output as _managepb_RemoveNodeRequest__Output } from '../managepb/RemoveNodeRequest.ts';
import type { RemoveNodeResponse as _managepb_RemoveNodeResponse, RemoveNodeResponse__Output as _managepb_RemoveNodeResponse__Output } from '../managepb/RemoveNodeResponse.ts';
import type { StepDownRequest as _managepb_StepDownRequest, StepDownRequest__Output as _managepb_StepDownRequest__Output } from '../managepb/StepDownRequest.ts';
import type { StepDownResponse as _managepb_StepDownResponse, StepDownResponse__Output as _managepb_StepDownResponse__Output } from '../managepb/StepDownResponse.ts';

export interface ClusterManagementDefinition {
  AddNode: MethodDefinition<_managepb_AddNodeRequest, _managepb_AddNodeResponse, _managepb_AddNodeRequest__Output, _managepb_AddNodeResponse__Output>
  FindEndpoint: MethodDefinition<_managepb_EndpointRequest, _managepb_EndpointResponse, _managepb_EndpointRequest__Output, _managepb_EndpointResponse__Output>
  GetStatus: MethodDefinition<_managepb_GetStatusRequest, _managepb_GetStatusResponse, _managepb_GetStatusRequest__Output, _managepb_GetStatusResponse__Output>
  ListEndpoints: MethodDefinition<_managepb_ListEndpointRequest, _managepb_ListEndpointResponse, _managepb_ListEndpointRequest__Output, _managepb_ListEndpointResponse__Output>
  ListNodes: MethodDefinition<_managepb_ListNodesRequest, _managepb_ListNodesResponse, _managepb_ListNodesRequest__Output, _managepb_ListNodesResponse__Output>
  ListShards: MethodDefinition<_managepb_ListShardsRequest, _managepb_ListShardsResponse, _managepb_ListShardsRequest__Output, _managepb_ListShardsResponse__Output>
  RemoveNode: MethodDefinition<_managepb_RemoveNodeRequest, _managepb_RemoveNodeResponse, _managepb_RemoveNodeRequest__Output, _managepb_RemoveNodeResponse__Output>
  StepDown: MethodDefinition<_managepb_StepDownRequest, _managepb_StepDownResponse, _managepb_StepDownRequest__Output, _managepb_StepDownResponse__Output>
}
