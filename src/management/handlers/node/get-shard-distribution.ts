/** funk.v1 GetShardDistribution: the active map in the bytes that clusterfunk's clients read. */
import type { GetShardDistributionRequest__Output } from '../../../gen/funk/v1/GetShardDistributionRequest.ts';
import type { GetShardDistributionResponse } from '../../../gen/funk/v1/GetShardDistributionResponse.ts';
import { encodeShardDistribution } from '../../../wire/sharding/clusterfunk-map.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';

export function getShardDistribution(
  context: HandlerContext,
  _call: UnaryCall<GetShardDistributionRequest__Output>,
): GetShardDistributionResponse {
  const { id, shardMap, shardSettings } = context.handle.view();
  const bytes = shardMap === undefined ? [] : encodeShardDistribution(shardMap, shardSettings?.shardCosts ?? []);
  return { nodeId: id, distribution: Buffer.from(bytes) };
}
