/**
 * What it costs to give an embedded node a thread of its own: three programs of one node each, first with `thread: 'caller'`, then with
 * `'own'`. `node dist/bench/thread.js --seconds 30 --shards 10000`. Everything stays on loopback and in memory.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FunkNode, type NodeOptions } from '../src/index.ts';
import { load, print, printHead } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const NODES = 3;
const SETTLE_MS = 5_000;
const CALLS = 1_000;
const ROUNDS = 20;

interface Measured {
  readonly startMs: number;
  readonly residentMb: number;
  readonly cpuPercent: number;
  readonly viewMicros: number;
  readonly ownsNanos: number;
  readonly callMicros: number;
}

const childOf = process.env['FUNKNODE_BENCH_THREAD'];
if (childOf === undefined) await compare();
else print(JSON.stringify(await measure(JSON.parse(childOf) as Child)));

interface Child {
  readonly settings: NodeOptions;
  readonly seconds: number;
}

/** In a program that does nothing else. */
async function measure({ settings, seconds }: Child): Promise<Measured> {
  const begunAt = performance.now();
  const node = new FunkNode(settings);
  await node.start();
  const startMs = performance.now() - begunAt;
  while (node.state !== 'Operational' || node.view().shardMap?.owners.length !== NODES) await sleep(20);
  await sleep(SETTLE_MS);
  const before = process.cpuUsage();
  const from = performance.now();
  await sleep(seconds * 1_000);
  const { user, system } = process.cpuUsage(before);
  const cpuPercent = (100 * (user + system)) / 1_000 / (performance.now() - from);
  const residentMb = process.memoryUsage.rss() / 1e6;
  const viewMicros = 1_000 * each(() => void node.view());
  const ownsNanos = 1e6 * each((call) => void node.owns(call));
  const callsFrom = performance.now();
  for (let call = 0; call < CALLS / 10; call++) await node.gossip.coordinate(node.id);
  const callMicros = (1_000 * (performance.now() - callsFrom)) / (CALLS / 10);
  // The others are still measured.
  await sleep(2_000);
  await node.stop();
  return { startMs, residentMb, cpuPercent, viewMicros, ownsNanos, callMicros };
}

/** Milliseconds per call, in the quickest of some rounds: on a busy machine the others measure the machine. */
function each(work: (call: number) => void): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const from = performance.now();
    for (let call = 0; call < CALLS; call++) work(call);
    return (performance.now() - from) / CALLS;
  });
  return Math.min(...rounds);
}

async function compare(): Promise<void> {
  const words = wordsOf({
    seconds: { fallback: 30, least: 1, most: 600 },
    shards: { fallback: 10_000, least: 1, most: 65_535 },
  });
  printHead(`thread: ${NODES} programs of one node each, idle for ${words.seconds} s, ${words.shards} shards`);
  for (const thread of ['caller', 'own'] as const) {
    const clusterName = `bench-${process.pid}-${thread}`;
    const common: NodeOptions = { clusterName, thread, interface: '127.0.0.1', inMemory: true, zeroconf: true };
    const all = await Promise.all(
      Array.from({ length: NODES }, (_, at) =>
        run({ settings: { ...common, nodeId: `n${at + 1}`, shards: words.shards }, seconds: words.seconds }),
      ),
    );
    const mean = (of: (one: Measured) => number): string =>
      (all.reduce((sum, one) => sum + of(one), 0) / NODES).toFixed(1);
    print(
      `${thread.padEnd(6)}  start ${mean((one) => one.startMs)} ms  resident ${mean((one) => one.residentMb)} MB  ` +
        `idle ${mean((one) => one.cpuPercent)} % of a processor  view() ${mean((one) => one.viewMicros)} us  ` +
        `owns() ${mean((one) => one.ownsNanos)} ns  a call ${mean((one) => one.callMicros)} us`,
    );
  }
  print(load());
}

async function run(child: Child): Promise<Measured> {
  const program = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, FUNKNODE_BENCH_THREAD: JSON.stringify(child) },
  });
  let out = '';
  program.stdout.on('data', (bytes: Buffer) => {
    out += bytes.toString();
  });
  await once(program, 'close');
  return JSON.parse(out) as Measured;
}
