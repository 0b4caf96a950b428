/**
 * Runs in the middle of a network of rooms: three voters and a non-voter whose applications write for the shards that they own, while nodes are killed,
 * stand still and are cut off, and their wall clocks step. Arguments: prefix of the rooms, milliseconds of harm, the longest pause in milliseconds. Prints figures as JSON; fails
 * when two ever owned one shard at one instant.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../../peers/peer.ts';
import { addressOf, cutOff, MIDDLE, reconnect, roomOf } from '../network-rooms.ts';
import { freshClusterName } from '../node-process.ts';
import { type OwnedSpan, WriterRegister, WRITTEN_SHARDS } from '../writer-register.ts';

const [prefix = '', lastsMs = '12000', pauseMsMax = '4000'] = process.argv.slice(2);
const PROGRAM = fileURLToPath(new URL('shard-writer.js', import.meta.url));
const ALL: readonly number[] = [1, 2, 3, 4];
const NON_VOTER = 4;
const SETTLED_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'funknode-writers-'));
const cluster = freshClusterName();
const register = new WriterRegister();
/** Per shard who wrote last, and when. */
const lastWrites: Map<number, { readonly node: string; readonly at: number }> = new Map();
const socket = createSocket('udp4', (bytes) => {
  for (const span of JSON.parse(bytes.toString()) as OwnedSpan[]) {
    register.write(span);
    lastWrites.set(span.shard, { node: span.node, at: performance.now() });
  }
});
socket.bind(0, MIDDLE);
await once(socket, 'listening');
const writers: Map<number, ChildProcess> = new Map();
const startedAt: Map<number, number> = new Map();
const harms: Record<string, number> = {};

try {
  for (const at of ALL) start(at);
  await allWritten('at the beginning');
  const end = performance.now() + Number(lastsMs);
  while (performance.now() < end) await doHarm();
  const healedAt = performance.now();
  await allWritten('after the harm');
  const healedMs = Math.round(performance.now() - healedAt);
  assert.deepEqual(register.conflicts(), []);
  process.stdout.write(`${JSON.stringify({ harms, healedMs, ...register.figures() })}\n`);
} finally {
  for (const writer of writers.values()) writer.kill('SIGKILL');
  socket.close();
  rmSync(folder, { recursive: true, force: true });
}

function start(at: number): void {
  const name = `n${at}`;
  const joined = ALL.map((other) => `${addressOf(other)}:7946`).join();
  const dataDir = at === NON_VOTER ? '-' : join(folder, name);
  const args = [name, cluster, addressOf(at), dataDir, joined, `${MIDDLE}:${socket.address().port}`];
  const words = ['netns', 'exec', roomOf(prefix, at), process.execPath, PROGRAM, ...args];
  startedAt.set(at, performance.now());
  writers.set(at, spawn('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] }));
}

/** From now on every shard is written for, and by everybody who runs: the cluster is whole. */
async function allWritten(when: string): Promise<void> {
  const since = performance.now();
  const look = (): true | string => {
    const fresh = [...lastWrites.values()].filter(({ at }) => at > since);
    const nodes = new Set(fresh.map(({ node }) => node));
    return (
      (fresh.length === WRITTEN_SHARDS && nodes.size === ALL.length) || `${fresh.length} shards by ${[...nodes].join()}`
    );
  };
  await until(`every shard is written for by its owner ${when}`, look, SETTLED_MS);
}

async function doHarm(): Promise<void> {
  const kinds = { kill, pause, oneWay, flap, alone, clockStep };
  const [kind, harm] = pick(Object.entries(kinds));
  harms[kind] = (harms[kind] ?? 0) + 1;
  await harm(pick(ALL));
  await sleep(500 + Math.random() * 2_000);
}

async function kill(at: number): Promise<void> {
  const writer = writers.get(at);
  writer?.kill('SIGKILL');
  if (writer !== undefined) await once(writer, 'exit');
  await sleep(300 + Math.random() * 1_500);
  start(at);
}

/** The short ones end before the lease, or before anybody has taken over. */
async function pause(at: number): Promise<void> {
  const writer = writers.get(at);
  writer?.kill('SIGSTOP');
  await sleep(100 + Math.random() ** 2 * Number(pauseMsMax));
  writer?.kill('SIGCONT');
}

async function oneWay(at: number): Promise<void> {
  cutOff({ prefix, at, hook: Math.random() < 0.5 ? 'input' : 'output', others: others(at) });
  await sleep(500 + Math.random() * 2_000);
  reconnect(prefix, at);
}

async function flap(at: number): Promise<void> {
  for (let time = 0; time < 4; time++) {
    cutOff({ prefix, at, hook: 'output', others: others(at) });
    await sleep(200 + Math.random() * 700);
    reconnect(prefix, at);
    await sleep(200 + Math.random() * 400);
  }
}

/** Everybody is cut off from him, and he from them. */
async function alone(at: number): Promise<void> {
  for (const other of others(at)) cutOff({ prefix, at: other, hook: 'output', others: [at] });
  cutOff({ prefix, at, hook: 'output', others: others(at) });
  await sleep(500 + Math.random() * 2_500);
  for (const each of ALL) reconnect(prefix, each);
}

/** Twice, for a step forward costs a lease and the next may come before there is another. One that has only just started does not know the signal yet. */
async function clockStep(at: number): Promise<void> {
  const isReady = [...lastWrites.values()].some(
    (write) => write.node === `n${at}` && write.at > (startedAt.get(at) ?? Number.POSITIVE_INFINITY),
  );
  if (!isReady) return;
  writers.get(at)?.kill('SIGUSR2');
  await sleep(Math.random() * 200);
  writers.get(at)?.kill('SIGUSR2');
}

function others(at: number): number[] {
  return ALL.filter((other) => other !== at);
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}
