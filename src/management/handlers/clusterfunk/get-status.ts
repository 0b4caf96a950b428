/** managepb GetStatus. A follower asks the leader for the counts, since the leader's view of them is the one that acts. */
import type { GetStatusRequest__Output } from '../../../gen/managepb/GetStatusRequest.ts';
import type { GetStatusResponse, GetStatusResponse__Output } from '../../../gen/managepb/GetStatusResponse.ts';
import type { NodeView } from '../../../model/node-view.ts';
import { aliveCount, raftStates } from '../../cluster-reading.ts';
import { NotOperationalError } from '../../errors.ts';
import type { HandlerContext, UnaryCall } from '../../rpc.ts';
import { isForeseen, managepbError } from '../../status.ts';

export async function getStatus(
  context: HandlerContext,
  call: UnaryCall<GetStatusRequest__Output>,
): Promise<GetStatusResponse> {
  const view = context.handle.view();
  const local: GetStatusResponse = {
    localNodeId: view.id,
    localRole: view.role,
    localState: view.state,
    clusterName: view.clusterName,
    created: nanoseconds(view.clusterCreatedMs),
    yourIp: call.peer,
  };
  switch (view.state) {
    case 'Invalid':
    case 'Joining':
    case 'Starting':
    case 'Stopping':
      return { ...local, error: { ...managepbError(notReady(view)), errorCode: 'INVALID' } };
    case 'Voting':
      return local;
    case 'Resharding':
    case 'Operational':
    case 'Draining': {
      const shardCount = view.shardMap?.shardCount ?? 0;
      return { ...local, shardCount, shardWeight: shardCount, ...(await counts(context, call, view)) };
    }
  }
}

type Counts = Pick<GetStatusResponse, 'leaderNodeId' | 'raftNodeCount' | 'serfNodeCount'>;

async function counts(
  context: HandlerContext,
  call: UnaryCall<GetStatusRequest__Output>,
  view: NodeView,
): Promise<Counts> {
  const local: Counts = {
    leaderNodeId: view.leader ?? '',
    raftNodeCount: raftStates(view.configuration).size,
    serfNodeCount: aliveCount(view),
  };
  if (view.role === 'Leader' || view.leader === undefined || call.hops > 0) return local;
  try {
    const method = context.protos.management.GetStatus;
    const theirs: GetStatusResponse__Output = await context.forwarder.forward(call, view.leader, method, {});
    if (theirs.error !== null || theirs.leaderNodeId === '') return local;
    const { leaderNodeId, raftNodeCount, serfNodeCount } = theirs;
    return { leaderNodeId, raftNodeCount, serfNodeCount };
  } catch (error) {
    // Whoever asks how things stand while the leader is silent needs an answer most: what this node knows.
    if (!isForeseen(error) || call.signal.aborted) throw error;
    context.logger?.log('debug', 'leaderSilent', { error: (error as Error).message });
    return local;
  }
}

function notReady(view: NodeView): NotOperationalError {
  return new NotOperationalError(`node ${view.id} is ${view.state}, not yet or no longer part of the cluster`);
}

/** As text, for a Unix time in nanoseconds is beyond the integers that a number holds. */
function nanoseconds(unixMs: number | undefined): string {
  return unixMs === undefined ? '0' : (BigInt(Math.round(unixMs)) * 1_000_000n).toString();
}
