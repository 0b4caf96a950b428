/**
 * Two nodes inside one process: they form a cluster, share the shards, publish an endpoint, and hand over when one stops.
 * After a build: `node dist/examples/embed.js`. Everything stays on loopback and in memory; it ends by itself.
 */
import { filter, firstValueFrom, map, takeUntil, timer } from 'rxjs';
import { FunkNode, formatEndpoint, type NodeOptions, type ShardMap } from '../src/index.ts';

const SHARD = 4711;
/** Nothing here takes half as long. */
const PATIENCE_MS = 20_000;

const common: NodeOptions = {
  clusterName: `embed-${process.pid}`,
  interface: '127.0.0.1',
  inMemory: true,
};

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** `a 5000, b 5000` */
function loads({ owners, ownerOf }: ShardMap): string {
  const counts = new Uint32Array(owners.length);
  for (const index of ownerOf) counts[index] = (counts[index] ?? 0) + 1;
  return owners.map((owner, index) => `${owner.node} ${counts[index]}`).join(', ');
}

/** Starts a node and resolves when it is Operational in a map of `nodes` owners. */
async function started(node: FunkNode, nodes: number): Promise<void> {
  await node.start();
  // A subscriber that throws is rxjs's unhandled error, and ends the process: what may fail is caught inside it.
  node.streams.states.subscribe((state) => say(`${node.id}: ${state}`));
  node.streams.shardMaps.subscribe((shards) => say(`${node.id}: map ${shards.version}, ${loads(shards)}`));
  const settled = node.streams.states.pipe(
    filter((state) => state === 'Operational' && node.view().shardMap?.owners.length === nodes),
    map(() => undefined),
  );
  await firstValueFrom(settled.pipe(takeUntil(timer(PATIENCE_MS))));
}

/** What an application does with a piece of work. The epoch fences off writes of an owner that was paused in between. */
function handle(node: FunkNode, shard: number): void {
  const ownership = node.owns(shard);
  if (ownership !== undefined) say(`${node.id}: serves shard ${shard}, token ${ownership.epoch}`);
  else say(`${node.id}: shard ${shard} belongs to ${node.shards.ownerOf(shard) ?? 'nobody yet'}`);
}

const a = new FunkNode(
  { ...common, nodeId: 'a', bootstrap: true },
  // Called when shards must be let go of; `owns` says no to them already. Finish what is under way, then resolve.
  { onRelease: async (shards) => say(`a: lets go of ${shards.length} shards`) },
);
await started(a, 1);
handle(a, SHARD);

const gossip = a.view().endpoints.get('ep.serf');
if (gossip === undefined) throw new Error('a started node has a gossip endpoint');
const b = new FunkNode({ ...common, nodeId: 'b', join: formatEndpoint(gossip) });
await started(b, 2);
handle(a, SHARD);
handle(b, SHARD);

// An endpoint is a gossip tag: everybody knows it a moment later.
const known = b.streams.members.pipe(filter(() => b.endpoints('shop').size > 0));
const published = firstValueFrom(known.pipe(takeUntil(timer(PATIENCE_MS))));
await a.setEndpoint('shop', { host: '127.0.0.1', port: 8080 });
await published;
for (const [node, endpoint] of b.endpoints('shop')) say(`b: ep.shop of ${node} is ${formatEndpoint(endpoint)}`);

// An orderly stop moves shards and leadership first: b goes on alone.
await a.stop();
say(`a: ${a.state}`);
handle(b, SHARD);
await b.stop();
say('done');
