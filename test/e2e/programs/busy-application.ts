/**
 * A program that embeds a node and is too busy for everything else for a while. Argument: its settings, JSON of `NodeOptions`.
 * `block <ms>` on standard input makes it busy; on standard output it tells, in lines of JSON, when it serves shards among three
 * and what it sees of its node while it is busy and in the first instant after.
 */
import { createInterface } from 'node:readline';
import { filter, firstValueFrom } from 'rxjs';
import { FunkNode, type NodeOptions } from '../../../src/index.ts';

export interface Ready {
  readonly kind: 'ready';
  /** Host and port of its management. */
  readonly management: string;
  /** A shard of this node. */
  readonly shard: number;
  readonly mapVersion: number;
}

export interface Blocked {
  readonly kind: 'blocked';
  readonly blockedMs: number;
  /** How often it asked whether it serves its shard, and for how long the answer was yes from the beginning on. */
  readonly asked: number;
  readonly ownedMs: number;
  /** Read before anything was awaited. */
  readonly state: string;
  readonly holdsLease: boolean;
  readonly owned: number;
  readonly mapVersion: number;
  readonly members: readonly string[];
}

const [settings = '{}'] = process.argv.slice(2);

function say(line: Ready | Blocked): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function ownShards(of: FunkNode): number[] {
  return Array.from({ length: of.shards.count }, (_, shard) => shard).filter((shard) => of.owns(shard) !== undefined);
}

function ownerCount(of: FunkNode): number {
  return of.view().shardMap?.owners.length ?? 0;
}

function block(of: FunkNode, shard: number, ms: number): Blocked {
  const begunAt = of.now();
  let asked = 0;
  let ownedMs = 0;
  let isOwned = true;
  for (let now = begunAt; now - begunAt < ms; now = of.now()) {
    asked += 1;
    isOwned &&= of.owns(shard) !== undefined;
    if (isOwned) ownedMs = now - begunAt;
  }
  const { state, holdsLease, members, shardMap } = of.view();
  return {
    kind: 'blocked',
    blockedMs: of.now() - begunAt,
    asked,
    ownedMs,
    state,
    holdsLease,
    owned: ownShards(of).length,
    mapVersion: shardMap?.version ?? 0,
    members: members.map(({ name, status }) => `${name} ${status}`),
  };
}

const node = new FunkNode(JSON.parse(settings) as NodeOptions);
await node.start();
await firstValueFrom(
  node.streams.events.pipe(
    filter(() => node.state === 'Operational' && ownerCount(node) === 3 && ownShards(node).length > 0),
  ),
);
const [shard = -1] = ownShards(node);
const management = node.view().endpoints.get('ep.clusterfunk.management');
const mapVersion = node.view().shardMap?.version ?? 0;
say({ kind: 'ready', management: `${management?.host}:${management?.port}`, shard, mapVersion });
for await (const line of createInterface({ input: process.stdin })) {
  const [word, ms] = line.split(' ');
  if (word === 'block') say(block(node, shard, Number(ms)));
  else break;
}
await node.stop();
process.exit();
