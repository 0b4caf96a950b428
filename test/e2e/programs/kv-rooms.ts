/**
 * Runs in the middle of a network of rooms: three voters, clients that use the coordination state all the time, and one kind of harm again and
 * again, then the next kind. Arguments: prefix of the rooms, and for each kind `kill`, `pause`, `oneWay` or `threeWay`, `=` and milliseconds. Prints
 * figures of each as JSON; fails when an answer was wrong.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { KvLoad } from '../kv-load.ts';
import { addressOf, cutOff, reconnect, roomOf } from '../network-rooms.ts';
import { freshClusterName, type NodeProcess, Scratch, settled } from '../node-process.ts';

const [prefix = '', ...kinds] = process.argv.slice(2);
const ALL: readonly number[] = [1, 2, 3];
const CLIENTS = 6;
const HEALED_MS = 60_000;

await using scratch = new Scratch();
const cluster = freshClusterName();
const addresses = ALL.map((at) => `${addressOf(at)}:7946`).join();
const nodes = new Map<number, NodeProcess>(ALL.map((at) => [at, start(at)]));
await settled([...nodes.values()], { voters: 3 });
const figures: object[] = [];
for (const kind of kinds) {
  const [harm = '', lastsMs = ''] = kind.split('=');
  figures.push(await underHarm(harm, Number(lastsMs)));
}
process.stdout.write(`${JSON.stringify(figures)}\n`);

async function underHarm(harm: string, lastsMs: number): Promise<object> {
  const load = new KvLoad(
    ALL.map((at) => `${addressOf(at)}:7948`),
    harm,
  );
  load.begin(CLIENTS);
  await sleep(500);
  let harms = 0;
  const end = performance.now() + lastsMs;
  while (performance.now() < end) {
    await doHarm(harm, harms);
    harms += 1;
  }
  const healedAt = performance.now();
  await settled([...nodes.values()], { voters: 3, ms: HEALED_MS });
  const healedMs = Math.round(performance.now() - healedAt);
  await sleep(500);
  return { harm, harms, healedMs, ...(await load.end()) };
}

function start(at: number): NodeProcess {
  const args = ['--bootstrap-expect', '3', '--join', addresses];
  return scratch.start({ id: `n${at}`, cluster, interface: addressOf(at), netns: roomOf(prefix, at), args });
}

async function doHarm(harm: string, time: number): Promise<void> {
  switch (harm) {
    case 'kill':
      return await kill();
    case 'pause':
      return await pause();
    case 'oneWay':
      return await isolateLeader(time);
    default:
      return await splitAll();
  }
}

/** One of them, now and then two: then nobody can be answered for a while. */
async function kill(): Promise<void> {
  const first = pick(ALL);
  const second = pick(ALL.filter((at) => at !== first));
  const victims = Math.random() < 0.15 ? [first, second] : [first];
  for (const at of victims) nodes.get(at)?.signal('SIGKILL');
  await Promise.all(victims.map(async (at) => await nodes.get(at)?.ended));
  await sleep(300 + Math.random() * 1_200);
  for (const at of victims) nodes.set(at, start(at));
  await sleep(1_500 + Math.random() * 2_000);
}

async function pause(): Promise<void> {
  const at = Math.random() < 0.5 ? await leaderAt() : pick(ALL);
  const node = nodes.get(at);
  node?.signal('SIGSTOP');
  await sleep(200 + Math.random() * 2_000);
  node?.signal('SIGCONT');
  await sleep(300 + Math.random() * 1_000);
}

/** It hears the others and they do not hear it, or the other way round. */
async function isolateLeader(time: number): Promise<void> {
  const at = await leaderAt();
  cutOff({ prefix, at, hook: time % 2 === 0 ? 'output' : 'input', others: others(at) });
  await sleep(2_000);
  reconnect(prefix, at);
  await sleep(1_500);
}

/** Everybody for himself. */
async function splitAll(): Promise<void> {
  for (const at of ALL) cutOff({ prefix, at, hook: 'output', others: others(at) });
  await sleep(1_500);
  for (const at of ALL) reconnect(prefix, at);
  await sleep(2_500);
}

function others(at: number): number[] {
  return ALL.filter((other) => other !== at);
}

async function leaderAt(): Promise<number> {
  for (const [at, node] of nodes) {
    const status = await (await node.client()).status({ timeoutMs: 500 }).catch(() => undefined);
    if (status?.status.role === 'Leader') return at;
  }
  return pick(ALL);
}

function pick(from: readonly number[]): number {
  return from[Math.floor(Math.random() * from.length)] as number;
}
