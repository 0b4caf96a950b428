/**
 * A process of its own in a copy of the built code that holds all mutants of a room: tries one after the other until some test or seed
 * fails. What it says is read by trials.ts, which ends it when it stands still, and lets another one go on behind that mutant.
 *
 * First a rehearsal without any mutant: nothing may fail; which test passes which mutants, and how long it takes, is written down.
 */
import { existsSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import fastCheck from 'fast-check';
import type * as RaftSimulation from '../../raft/simulation.ts';
import type * as Schedules from '../../raft/schedules.ts';
import type * as Model from '../../sharding/model/cluster.ts';
import type * as GossipSwarm from '../../sim/gossip/swarm.ts';
import type * as NodeSwarm from '../../sim/swarm.ts';
import { type Collected, takeCollected } from './collected-tests.ts';
import type { Net } from './nets.ts';
import { SWITCH } from './switches.ts';

interface Order {
  readonly net: Net;
  readonly coreSeeds: number;
  readonly nodeSeeds: number;
  readonly mutants: readonly number[];
  /** What a rehearsal has written down. */
  readonly notes: string;
}
interface Known {
  readonly tookMs: number;
  readonly passed: readonly number[];
}
interface Test extends Collected {
  readonly layer: string;
  tookMs: number;
  passed: ReadonlySet<number>;
}
type RunSeed = (seed: number) => unknown;

const FAULT_MS = 3_000;
/** Of so many seeds of Raft cores one is about leases, and one plays a schedule. */
const OTHERS_EVERY = 5;

const order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Order;
const { net } = order;
let active = 0;
const isActive = (number: number): boolean => number === active;
const setSwitch = (ask: (number: number) => boolean): void => {
  (globalThis as Record<string, unknown>)[SWITCH] = ask;
};

setSwitch(isActive);
// Properties draw the same in every trial, and what fails need not be made small.
fastCheck.configureGlobal({ seed: 1, endOnFailure: true });
const tests = [...(await testsOf('steps', net.steps)), ...(await testsOf('neighbours', net.neighbours))];
const coreSeed = order.coreSeeds > 0 ? await coreOf(net) : undefined;
const nodeSeed = order.nodeSeeds > 0 ? await wholeNodes() : undefined;
if (existsSync(order.notes)) recall();
else await rehearse();
tests.sort((a, b) => (a.layer === b.layer ? a.tookMs - b.tookMs : a.layer === 'steps' ? -1 : 1));
for (const number of order.mutants) await tryMutant(number);
process.exit(0);

async function tryMutant(number: number): Promise<void> {
  say(`mutant\t${number}`);
  for (const test of tests) {
    if (!test.passed.has(number)) continue;
    const failure = await attempt(number, test.layer, test.name, test.run);
    if (failure === undefined) continue;
    // Whoever fails without the mutant as well was spoilt by one before it.
    const isSpoilt = (await attempt(0, test.layer, test.name, test.run)) !== undefined;
    return say(isSpoilt ? 'spoilt' : `killed\t${test.layer}\t${test.name}\t${failure}`);
  }
  const layers = [
    { layer: 'core', seeds: order.coreSeeds, run: coreSeed },
    { layer: 'nodes', seeds: order.nodeSeeds, run: nodeSeed },
  ];
  for (const { layer, seeds, run } of layers) {
    for (let seed = 1; run !== undefined && seed <= seeds; seed++) {
      const failure = await attempt(number, layer, `seed ${seed}`, () => run(seed));
      if (failure !== undefined) return say(`killed\t${layer}\tseed ${seed}\t${failure}`);
    }
  }
  const isPassed = tests.some(({ passed }) => passed.has(number));
  say(`survived\t${isPassed ? 'all' : 'no step test comes by'}`);
}

async function rehearse(): Promise<void> {
  for (const test of tests) {
    const passed = new Set<number>();
    setSwitch((number) => {
      passed.add(number);
      return false;
    });
    const startedAt = performance.now();
    await rehearsed(test.layer, test.name, test.run);
    test.tookMs = performance.now() - startedAt;
    test.passed = passed;
  }
  setSwitch(isActive);
  if (coreSeed !== undefined) await rehearsed('core', 'seed 1', () => coreSeed(1));
  if (nodeSeed !== undefined) await rehearsed('nodes', 'seed 1', () => nodeSeed(1));
  writeFileSync(
    order.notes,
    JSON.stringify(tests.map(({ tookMs, passed }): Known => ({ tookMs, passed: [...passed] }))),
  );
  say('rehearsed');
}

async function rehearsed(layer: string, name: string, run: () => unknown): Promise<void> {
  const failure = await attempt(0, layer, name, run);
  if (failure !== undefined) throw new Error(`without a mutant ${name} fails: ${failure}`);
}

function recall(): void {
  for (const [place, known] of (JSON.parse(readFileSync(order.notes, 'utf8')) as Known[]).entries()) {
    const test = tests[place] as Test;
    test.tookMs = known.tookMs;
    test.passed = new Set(known.passed);
  }
}

/** The first line of what went wrong. */
async function attempt(number: number, layer: string, name: string, run: () => unknown): Promise<string | undefined> {
  say(`begun\t${layer}\t${name}`);
  active = number;
  try {
    await run();
    return undefined;
  } catch (error) {
    return String(error).split('\n', 1)[0]?.replaceAll('\t', ' ') ?? '';
  } finally {
    active = 0;
  }
}

async function testsOf(layer: string, names: readonly string[]): Promise<Test[]> {
  const found: Test[] = [];
  for (const name of names) {
    await loaded(`${name}.test`);
    const here = takeCollected().map((test) => ({ ...test, name: `${name}: ${test.name}` }));
    found.push(...here.map((test): Test => ({ ...test, layer, tookMs: 0, passed: new Set() })));
  }
  return found;
}

async function coreOf({ core }: Net): Promise<RunSeed> {
  if (core === 'gossip') {
    const { runSwarm } = await loaded<typeof GossipSwarm>('sim/gossip/swarm');
    return (seed) => runSwarm(seed, { nodesLeast: 4, nodesMost: 12, lossMost: 0.1 });
  }
  if (core === 'sharding') {
    const { runSeed } = await loaded<typeof Model>('sharding/model/cluster');
    return (seed) => runSeed({ seed });
  }
  const { runSeed } = await loaded<typeof RaftSimulation>('raft/simulation');
  const { playSchedule, SCHEDULES } = await loaded<typeof Schedules>('raft/schedules');
  const names = Object.keys(SCHEDULES);
  return (seed) => {
    if (seed % OTHERS_EVERY === 1) return runSeed(seed, { faultMs: FAULT_MS, isAboutLeases: true });
    if (seed % OTHERS_EVERY === 2)
      return playSchedule(names[Math.floor(seed / OTHERS_EVERY) % names.length] as string, seed);
    return runSeed(seed, { faultMs: FAULT_MS });
  };
}

async function wholeNodes(): Promise<RunSeed> {
  const { runSeed } = await loaded<typeof NodeSwarm>('sim/swarm');
  return (seed) => {
    const { failure } = runSeed(seed);
    if (failure !== undefined) throw new Error(failure);
  };
}

async function loaded<T>(name: string): Promise<T> {
  return (await import(new URL(`../../${name}.js`, import.meta.url).href)) as T;
}

function say(line: string): void {
  writeSync(1, `${line}\n`);
}
