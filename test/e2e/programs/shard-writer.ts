/**
 * A node whose application writes to a register for as long as it owns a shard: it looks every 2 ms, and its writes are under way for a while, so that
 * some arrive when the shard is another's. SIGUSR2 steps the process's wall clock, either way. Arguments: name, cluster, address, data directory (`-`: a non-voter in memory), where to join, the register.
 */
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { FunkNode, type NodeOptions, parseEndpoint } from '../../../src/index.ts';
import { type OwnedSpan, WRITTEN_SHARDS } from '../writer-register.ts';

/** Steps of the wall clock, in milliseconds: those of a user who sets the time, and of a guest that was suspended. */
const STEP_MS_MAX = 5_000;
const wallNow = Date.now.bind(Date);
let steppedMs = 0;
Date.now = () => wallNow() + steppedMs;
process.on('SIGUSR2', () => {
  steppedMs += Math.round((Math.random() * 2 - 1) * STEP_MS_MAX);
});

const [name = '', cluster = '', address = '', dataDir = '-', join = '', register = ''] = process.argv.slice(2);
const SAMPLE: readonly number[] = Array.from(
  { length: WRITTEN_SHARDS },
  (_, i) => i * Math.floor(10_000 / WRITTEN_SHARDS),
);
const LOOK_EVERY_MS = 2;
const WRITE_EVERY_MS = 20;
const UNDER_WAY_MS = 40;

const kind: NodeOptions =
  dataDir === '-' ? { inMemory: true, role: 'non-voter' } : { dataDir, bootstrapExpect: 3, role: 'voter' };
const node = new FunkNode({
  clusterName: cluster,
  nodeId: name,
  interface: address,
  join,
  thread: 'caller',
  // Death follows death here, and everybody is to own again soon.
  flapHold: '0ms',
  ...kind,
});
const at = parseEndpoint(register);
const socket = createSocket('udp4');
const spans: Map<number, OwnedSpan> = new Map();

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function look(): void {
  for (const shard of SAMPLE) {
    const before = monotonicMs();
    const ownership = node.owns(shard);
    if (ownership === undefined) {
      spans.delete(shard);
      continue;
    }
    const { epoch } = ownership;
    const known = spans.get(shard);
    const firstAt = known?.epoch === epoch ? known.firstAt : monotonicMs();
    spans.set(shard, { node: name, shard, epoch, firstAt, lastAt: before });
  }
}

function write(): void {
  if (spans.size === 0) return;
  const message = JSON.stringify([...spans.values()]);
  setTimeout(() => socket.send(message, at?.port, at?.host), Math.random() * UNDER_WAY_MS);
}

await node.start();
node.subscribe(({ kind: event, ...facts }) => {
  if (event === 'stateChanged') process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
});
for (let writtenAt = 0; ; await sleep(LOOK_EVERY_MS)) {
  look();
  if (monotonicMs() - writtenAt < WRITE_EVERY_MS) continue;
  writtenAt = monotonicMs();
  write();
}
