/** `funkctl status`: what one node says of itself and its cluster. */
import type { NodeStatus } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { ageText, durationText } from '../durations.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printPairs } from '../output.ts';

export async function showStatus(options: GlobalOptions): Promise<void> {
  const { status, yourAddress } = await withNode(options, (client) => client.status());
  if (options.json) return printJson({ ...status, yourAddress });
  printPairs([...pairsOf(status), ['Your IP', yourAddress]]);
}

const ROOM_WORDS: Readonly<Record<string, string>> = {
  low: 'nearly full: no further file of the log can be made; free some room',
  full: 'full: no entries are taken and nothing is led; free some room',
};

const AILMENT_WORDS: Readonly<Record<string, string>> = {
  disk: 'a write of its log is not durable for seconds: look at the disk; leadership goes to another',
  loop: 'its event loop is late: the machine is too busy; leadership goes to another',
};

function pairsOf(status: NodeStatus): [string, string][] {
  const raftCount = status.voterCount + status.learnerCount;
  const { waiting } = status;
  return [
    ['Cluster name', printable(status.clusterName)],
    ['Cluster id', status.clusterId === '' ? 'not decided yet' : printable(status.clusterId)],
    ['Created at', createdText(status.createdMs)],
    ['Node ID', printable(status.nodeId)],
    ['State', `${status.state} for ${durationText(status.stateForMs)}`],
    ['Role', status.role],
    ['Leader ID', status.leaderId === '' ? 'none' : printable(status.leaderId)],
    ['Term', String(status.term)],
    ['Nodes', `${raftCount} Raft, ${status.memberCount} Serf`],
    ...(status.voterCount === 0 ? [] : ([['Voters', votersText(status)]] satisfies [string, string][])),
    ['Shards', shardsText(status)],
    ...(ROOM_WORDS[status.room] === undefined
      ? []
      : ([['Disk', ROOM_WORDS[status.room] ?? '']] satisfies [string, string][])),
    ...(AILMENT_WORDS[status.ailment] === undefined
      ? []
      : ([['Ailing', AILMENT_WORDS[status.ailment] ?? '']] satisfies [string, string][])),
    ...(status.restartPermit === null
      ? []
      : ([['Restart permit', permitText(status.restartPermit)]] satisfies [string, string][])),
    ...(waiting === null ? [] : ([['Waiting for', waitingText(waiting)]] satisfies [string, string][])),
  ];
}

function createdText(createdMs: number): string {
  if (createdMs === 0) return 'not known yet';
  return `${new Date(createdMs).toUTCString()} (${ageText(Date.now() - createdMs)} ago)`;
}

/** How many may be lost: the others must be a majority. Where they are none already, how many are missing. */
function votersText({ voterCount: count, votersDown: down, waiting }: NodeStatus): string {
  if (waiting?.reason === 'quorum') return `${count}: ${waiting.nodes.length} missing, and the rest is no majority`;
  const spare = Math.max(0, Math.floor((count - 1) / 2) - down);
  const more = down === 0 ? '' : `${down} ${down === 1 ? 'is' : 'are'} down, and `;
  const further = down === 0 ? '' : spare === 0 ? 'further ' : ' more';
  return `${count}: ${more}${spare === 0 ? `no ${further}loss can be survived` : `the loss of ${spare}${further} can be survived`}`;
}

function shardsText(status: NodeStatus): string {
  if (status.shardCount === 0) return 'no shard map yet';
  const lease = status.holdsLease ? '' : ', served by nobody: this node holds no lease';
  return `${status.shardCount}, ${status.shardsOwned} here${status.shardsOwned === 0 ? '' : lease}`;
}

function permitText({ holder, nodeId }: NonNullable<NodeStatus['restartPermit']>): string {
  return `node ${printable(nodeId)}${holder === nodeId ? '' : `, by ${printable(holder)}`}`;
}

function waitingText(waiting: NonNullable<NodeStatus['waiting']>): string {
  const nodes = waiting.nodes.length === 0 ? '' : ` of ${waiting.nodes.map(printable).join(', ')}`;
  return `${waiting.reason}${nodes} for ${durationText(waiting.forMs)}: ${printable(waiting.advice)}`;
}
