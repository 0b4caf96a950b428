/** funk.v1 ConfigureShards: agrees on other settings of the spread of shards. */
import type { ConfigureShardsRequest__Output } from '../../../gen/funk/v1/ConfigureShardsRequest.ts';
import type { ConfigureShardsResponse } from '../../../gen/funk/v1/ConfigureShardsResponse.ts';
import { atLeader } from '../../leader-forwarder.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { changeOfMessage, settingsMessage } from '../../shard-reading.ts';

export function configureShards(
  context: HandlerContext,
  call: UnaryCall<ConfigureShardsRequest__Output>,
): Promise<ConfigureShardsResponse> {
  const { handle, protos } = context;
  const change = changeOfMessage(call.request.change);
  return atLeader<ConfigureShardsRequest__Output, ConfigureShardsResponse, ConfigureShardsResponse>(context, call, {
    here: async () => {
      const settings = await handle.configureShards(change, { signal: call.signal });
      return { leaderId: handle.view().id, settings: settingsMessage(settings) };
    },
    method: protos.node.ConfigureShards,
    there: (response) => response,
  });
}
