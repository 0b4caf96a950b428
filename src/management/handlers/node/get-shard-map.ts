/** funk.v1 GetShardMap: the active map as this node has applied it. */
import type { GetShardMapRequest__Output } from '../../../gen/funk/v1/GetShardMapRequest.ts';
import type { GetShardMapResponse } from '../../../gen/funk/v1/GetShardMapResponse.ts';
import { shardMapMessage } from '../../node-reading.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { settingsMessage } from '../../shard-reading.ts';

export function getShardMap(context: HandlerContext, call: UnaryCall<GetShardMapRequest__Output>): GetShardMapResponse {
  const { id, shardMap, pendingVersion, shardSettings } = context.handle.view();
  const { ownersOnly, packed } = call.request;
  const parts = ownersOnly ? 'owners' : packed ? 'packed' : 'all';
  return {
    nodeId: id,
    map: shardMap === undefined ? null : shardMapMessage(shardMap, { parts }),
    pendingVersion: pendingVersion ?? 0,
    settings: shardSettings === undefined ? null : settingsMessage(shardSettings),
  };
}
