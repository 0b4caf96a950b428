// Original file: proto/funk/v1/node.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { AddNodeRequest as _funk_v1_AddNodeRequest, AddNodeRequest__Output as _funk_v1_AddNodeRequest__Output } from '../../funk/v1/AddNodeRequest.ts';
import type { AddNodeResponse as _funk_v1_AddNodeResponse, AddNodeResponse__Output as _funk_v1_AddNodeResponse__Output } from '../../funk/v1/AddNodeResponse.ts';
import type { BackupRequest as _funk_v1_BackupRequest, BackupRequest__Output as _funk_v1_BackupRequest__Output } from '../../funk/v1/BackupRequest.ts';
import type { BackupResponse as _funk_v1_BackupResponse, BackupResponse__Output as _funk_v1_BackupResponse__Output } from '../../funk/v1/BackupResponse.ts';
import type { ConfigureShardsRequest as _funk_v1_ConfigureShardsRequest, ConfigureShardsRequest__Output as _funk_v1_ConfigureShardsRequest__Output } from '../../funk/v1/ConfigureShardsRequest.ts';
import type { ConfigureShardsResponse as _funk_v1_ConfigureShardsResponse, ConfigureShardsResponse__Output as _funk_v1_ConfigureShardsResponse__Output } from '../../funk/v1/ConfigureShardsResponse.ts';
import type { DrainRequest as _funk_v1_DrainRequest, DrainRequest__Output as _funk_v1_DrainRequest__Output } from '../../funk/v1/DrainRequest.ts';
import type { DrainResponse as _funk_v1_DrainResponse, DrainResponse__Output as _funk_v1_DrainResponse__Output } from '../../funk/v1/DrainResponse.ts';
import type { ForceLeaveRequest as _funk_v1_ForceLeaveRequest, ForceLeaveRequest__Output as _funk_v1_ForceLeaveRequest__Output } from '../../funk/v1/ForceLeaveRequest.ts';
import type { ForceLeaveResponse as _funk_v1_ForceLeaveResponse, ForceLeaveResponse__Output as _funk_v1_ForceLeaveResponse__Output } from '../../funk/v1/ForceLeaveResponse.ts';
import type { GetShardDistributionRequest as _funk_v1_GetShardDistributionRequest, GetShardDistributionRequest__Output as _funk_v1_GetShardDistributionRequest__Output } from '../../funk/v1/GetShardDistributionRequest.ts';
import type { GetShardDistributionResponse as _funk_v1_GetShardDistributionResponse, GetShardDistributionResponse__Output as _funk_v1_GetShardDistributionResponse__Output } from '../../funk/v1/GetShardDistributionResponse.ts';
import type { GetShardMapRequest as _funk_v1_GetShardMapRequest, GetShardMapRequest__Output as _funk_v1_GetShardMapRequest__Output } from '../../funk/v1/GetShardMapRequest.ts';
import type { GetShardMapResponse as _funk_v1_GetShardMapResponse, GetShardMapResponse__Output as _funk_v1_GetShardMapResponse__Output } from '../../funk/v1/GetShardMapResponse.ts';
import type { GetStatusRequest as _funk_v1_GetStatusRequest, GetStatusRequest__Output as _funk_v1_GetStatusRequest__Output } from '../../funk/v1/GetStatusRequest.ts';
import type { GetStatusResponse as _funk_v1_GetStatusResponse, GetStatusResponse__Output as _funk_v1_GetStatusResponse__Output } from '../../funk/v1/GetStatusResponse.ts';
import type { GiveRestartPermitRequest as _funk_v1_GiveRestartPermitRequest, GiveRestartPermitRequest__Output as _funk_v1_GiveRestartPermitRequest__Output } from '../../funk/v1/GiveRestartPermitRequest.ts';
import type { GiveRestartPermitResponse as _funk_v1_GiveRestartPermitResponse, GiveRestartPermitResponse__Output as _funk_v1_GiveRestartPermitResponse__Output } from '../../funk/v1/GiveRestartPermitResponse.ts';
import type { JoinRequest as _funk_v1_JoinRequest, JoinRequest__Output as _funk_v1_JoinRequest__Output } from '../../funk/v1/JoinRequest.ts';
import type { JoinResponse as _funk_v1_JoinResponse, JoinResponse__Output as _funk_v1_JoinResponse__Output } from '../../funk/v1/JoinResponse.ts';
import type { ListEndpointsRequest as _funk_v1_ListEndpointsRequest, ListEndpointsRequest__Output as _funk_v1_ListEndpointsRequest__Output } from '../../funk/v1/ListEndpointsRequest.ts';
import type { ListEndpointsResponse as _funk_v1_ListEndpointsResponse, ListEndpointsResponse__Output as _funk_v1_ListEndpointsResponse__Output } from '../../funk/v1/ListEndpointsResponse.ts';
import type { ListMembersRequest as _funk_v1_ListMembersRequest, ListMembersRequest__Output as _funk_v1_ListMembersRequest__Output } from '../../funk/v1/ListMembersRequest.ts';
import type { ListMembersResponse as _funk_v1_ListMembersResponse, ListMembersResponse__Output as _funk_v1_ListMembersResponse__Output } from '../../funk/v1/ListMembersResponse.ts';
import type { ManageKeysRequest as _funk_v1_ManageKeysRequest, ManageKeysRequest__Output as _funk_v1_ManageKeysRequest__Output } from '../../funk/v1/ManageKeysRequest.ts';
import type { ManageKeysResponse as _funk_v1_ManageKeysResponse, ManageKeysResponse__Output as _funk_v1_ManageKeysResponse__Output } from '../../funk/v1/ManageKeysResponse.ts';
import type { OwnsRequest as _funk_v1_OwnsRequest, OwnsRequest__Output as _funk_v1_OwnsRequest__Output } from '../../funk/v1/OwnsRequest.ts';
import type { OwnsResponse as _funk_v1_OwnsResponse, OwnsResponse__Output as _funk_v1_OwnsResponse__Output } from '../../funk/v1/OwnsResponse.ts';
import type { PlanShardsRequest as _funk_v1_PlanShardsRequest, PlanShardsRequest__Output as _funk_v1_PlanShardsRequest__Output } from '../../funk/v1/PlanShardsRequest.ts';
import type { PlanShardsResponse as _funk_v1_PlanShardsResponse, PlanShardsResponse__Output as _funk_v1_PlanShardsResponse__Output } from '../../funk/v1/PlanShardsResponse.ts';
import type { QueryRequest as _funk_v1_QueryRequest, QueryRequest__Output as _funk_v1_QueryRequest__Output } from '../../funk/v1/QueryRequest.ts';
import type { QueryResponse as _funk_v1_QueryResponse, QueryResponse__Output as _funk_v1_QueryResponse__Output } from '../../funk/v1/QueryResponse.ts';
import type { RemoveNodeRequest as _funk_v1_RemoveNodeRequest, RemoveNodeRequest__Output as _funk_v1_RemoveNodeRequest__Output } from '../../funk/v1/RemoveNodeRequest.ts';
import type { RemoveNodeResponse as _funk_v1_RemoveNodeResponse, RemoveNodeResponse__Output as _funk_v1_RemoveNodeResponse__Output } from '../../funk/v1/RemoveNodeResponse.ts';
import type { RoundTripRequest as _funk_v1_RoundTripRequest, RoundTripRequest__Output as _funk_v1_RoundTripRequest__Output } from '../../funk/v1/RoundTripRequest.ts';
import type { RoundTripResponse as _funk_v1_RoundTripResponse, RoundTripResponse__Output as _funk_v1_RoundTripResponse__Output } from '../../funk/v1/RoundTripResponse.ts';
import type { SendEventRequest as _funk_v1_SendEventRequest, SendEventRequest__Output as _funk_v1_SendEventRequest__Output } from '../../funk/v1/SendEventRequest.ts';
import type { SendEventResponse as _funk_v1_SendEventResponse, SendEventResponse__Output as _funk_v1_SendEventResponse__Output } from '../../funk/v1/SendEventResponse.ts';
import type { StepDownRequest as _funk_v1_StepDownRequest, StepDownRequest__Output as _funk_v1_StepDownRequest__Output } from '../../funk/v1/StepDownRequest.ts';
import type { StepDownResponse as _funk_v1_StepDownResponse, StepDownResponse__Output as _funk_v1_StepDownResponse__Output } from '../../funk/v1/StepDownResponse.ts';
import type { TakeRestartPermitRequest as _funk_v1_TakeRestartPermitRequest, TakeRestartPermitRequest__Output as _funk_v1_TakeRestartPermitRequest__Output } from '../../funk/v1/TakeRestartPermitRequest.ts';
import type { TakeRestartPermitResponse as _funk_v1_TakeRestartPermitResponse, TakeRestartPermitResponse__Output as _funk_v1_TakeRestartPermitResponse__Output } from '../../funk/v1/TakeRestartPermitResponse.ts';
import type { UndrainRequest as _funk_v1_UndrainRequest, UndrainRequest__Output as _funk_v1_UndrainRequest__Output } from '../../funk/v1/UndrainRequest.ts';
import type { UndrainResponse as _funk_v1_UndrainResponse, UndrainResponse__Output as _funk_v1_UndrainResponse__Output } from '../../funk/v1/UndrainResponse.ts';
import type { WatchRequest as _funk_v1_WatchRequest, WatchRequest__Output as _funk_v1_WatchRequest__Output } from '../../funk/v1/WatchRequest.ts';
import type { WatchResponse as _funk_v1_WatchResponse, WatchResponse__Output as _funk_v1_WatchResponse__Output } from '../../funk/v1/WatchResponse.ts';

export interface NodeDefinition {
  AddNode: MethodDefinition<_funk_v1_AddNodeRequest, _funk_v1_AddNodeResponse, _funk_v1_AddNodeRequest__Output, _funk_v1_AddNodeResponse__Output>
  Backup: MethodDefinition<_funk_v1_BackupRequest, _funk_v1_BackupResponse, _funk_v1_BackupRequest__Output, _funk_v1_BackupResponse__Output>
  ConfigureShards: MethodDefinition<_funk_v1_ConfigureShardsRequest, _funk_v1_ConfigureShardsResponse, _funk_v1_ConfigureShardsRequest__Output, _funk_v1_ConfigureShardsResponse__Output>
  Drain: MethodDefinition<_funk_v1_DrainRequest, _funk_v1_DrainResponse, _funk_v1_DrainRequest__Output, _funk_v1_DrainResponse__Output>
  ForceLeave: MethodDefinition<_funk_v1_ForceLeaveRequest, _funk_v1_ForceLeaveResponse, _funk_v1_ForceLeaveRequest__Output, _funk_v1_ForceLeaveResponse__Output>
  GetShardDistribution: MethodDefinition<_funk_v1_GetShardDistributionRequest, _funk_v1_GetShardDistributionResponse, _funk_v1_GetShardDistributionRequest__Output, _funk_v1_GetShardDistributionResponse__Output>
  GetShardMap: MethodDefinition<_funk_v1_GetShardMapRequest, _funk_v1_GetShardMapResponse, _funk_v1_GetShardMapRequest__Output, _funk_v1_GetShardMapResponse__Output>
  GetStatus: MethodDefinition<_funk_v1_GetStatusRequest, _funk_v1_GetStatusResponse, _funk_v1_GetStatusRequest__Output, _funk_v1_GetStatusResponse__Output>
  GiveRestartPermit: MethodDefinition<_funk_v1_GiveRestartPermitRequest, _funk_v1_GiveRestartPermitResponse, _funk_v1_GiveRestartPermitRequest__Output, _funk_v1_GiveRestartPermitResponse__Output>
  Join: MethodDefinition<_funk_v1_JoinRequest, _funk_v1_JoinResponse, _funk_v1_JoinRequest__Output, _funk_v1_JoinResponse__Output>
  ListEndpoints: MethodDefinition<_funk_v1_ListEndpointsRequest, _funk_v1_ListEndpointsResponse, _funk_v1_ListEndpointsRequest__Output, _funk_v1_ListEndpointsResponse__Output>
  ListMembers: MethodDefinition<_funk_v1_ListMembersRequest, _funk_v1_ListMembersResponse, _funk_v1_ListMembersRequest__Output, _funk_v1_ListMembersResponse__Output>
  ManageKeys: MethodDefinition<_funk_v1_ManageKeysRequest, _funk_v1_ManageKeysResponse, _funk_v1_ManageKeysRequest__Output, _funk_v1_ManageKeysResponse__Output>
  Owns: MethodDefinition<_funk_v1_OwnsRequest, _funk_v1_OwnsResponse, _funk_v1_OwnsRequest__Output, _funk_v1_OwnsResponse__Output>
  PlanShards: MethodDefinition<_funk_v1_PlanShardsRequest, _funk_v1_PlanShardsResponse, _funk_v1_PlanShardsRequest__Output, _funk_v1_PlanShardsResponse__Output>
  Query: MethodDefinition<_funk_v1_QueryRequest, _funk_v1_QueryResponse, _funk_v1_QueryRequest__Output, _funk_v1_QueryResponse__Output>
  RemoveNode: MethodDefinition<_funk_v1_RemoveNodeRequest, _funk_v1_RemoveNodeResponse, _funk_v1_RemoveNodeRequest__Output, _funk_v1_RemoveNodeResponse__Output>
  RoundTrip: MethodDefinition<_funk_v1_RoundTripRequest, _funk_v1_RoundTripResponse, _funk_v1_RoundTripRequest__Output, _funk_v1_RoundTripResponse__Output>
  SendEvent: MethodDefinition<_funk_v1_SendEventRequest, _funk_v1_SendEventResponse, _funk_v1_SendEventRequest__Output, _funk_v1_SendEventResponse__Output>
  StepDown: MethodDefinition<_funk_v1_StepDownRequest, _funk_v1_StepDownResponse, _funk_v1_StepDownRequest__Output, _funk_v1_StepDownResponse__Output>
  TakeRestartPermit: MethodDefinition<_funk_v1_TakeRestartPermitRequest, _funk_v1_TakeRestartPermitResponse, _funk_v1_TakeRestartPermitRequest__Output, _funk_v1_TakeRestartPermitResponse__Output>
  Undrain: MethodDefinition<_funk_v1_UndrainRequest, _funk_v1_UndrainResponse, _funk_v1_UndrainRequest__Output, _funk_v1_UndrainResponse__Output>
  Watch: MethodDefinition<_funk_v1_WatchRequest, _funk_v1_WatchResponse, _funk_v1_WatchRequest__Output, _funk_v1_WatchResponse__Output>
}
