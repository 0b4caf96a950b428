/**
 * A program that embeds a node and asks it all the time, between its own work and in the middle of it, whether it serves some shards. Arguments: its
 * settings, JSON of `NodeOptions`, and the shards, JSON. On standard input: `block <ms>` makes it busy, and it goes on asking; `end` makes it leave and print what it was told.
 */
import { createInterface } from 'node:readline';
import { FunkNode, type NodeOptions } from '../../../src/index.ts';

/** What was said of one shard under one fencing token. Milliseconds of CLOCK_MONOTONIC, which all processes of a machine share. */
export interface Told {
  readonly shard: number;
  readonly epoch: number;
  count: number;
  /** When the first yes had come, and when the last one was asked for. */
  firstAfter: number;
  lastBefore: number;
}

/** Between two rounds of questions the program does other things. */
const BETWEEN_ROUNDS_MS = 2;

const [settings = '{}', shards = '[]'] = process.argv.slice(2);
const asked = JSON.parse(shards) as readonly number[];
const node = new FunkNode(JSON.parse(settings) as NodeOptions);
const told = new Map<string, Told>();

function askOnce(): void {
  for (const shard of asked) {
    const before = node.now();
    const epoch = node.owns(shard)?.epoch;
    const after = node.now();
    if (epoch === undefined) continue;
    const key = `${shard} ${epoch}`;
    const held = told.get(key) ?? { shard, epoch, count: 0, firstAfter: after, lastBefore: before };
    held.count += 1;
    held.lastBefore = before;
    told.set(key, held);
  }
}

await node.start();
process.stdout.write('started\n');
const rounds = setInterval(askOnce, BETWEEN_ROUNDS_MS);
for await (const line of createInterface({ input: process.stdin })) {
  const [word, ms] = line.split(' ');
  if (word !== 'block') break;
  const end = node.now() + Number(ms);
  while (node.now() < end) askOnce();
}
await node.stop();
clearInterval(rounds);
process.stdout.write(`${JSON.stringify([...told.values()])}\n`);
process.exit();
