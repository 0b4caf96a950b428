/**
 * One seed from beginning to end: found, do harm, heal; then stop all nodes in order one after the other, start the last alone, start
 * all again. Safety is checked after every turn, what must become true is given a bounded time.
 */
import { leftOver } from './at-rest.ts';
import { type ClientFigures, Clients } from './clients.ts';
import { claimsVote, missing, missingVoters, standings } from './health.ts';
import { type LogClientFigures, LogClients, NO_LOG_CLIENTS } from './log-clients.ts';
import { type FaultDone, Nemesis } from './nemesis.ts';
import { drawOptions, type PlannedFault, type SimulationOptions } from './options.ts';
import { type Machine, Simulation } from './simulation.ts';
import { Trace } from './trace.ts';
import { Violation } from './violation.ts';

/** So often is asked whether what must become true is. */
const LOOK_MS = 50;
/** From the start of all to one whole cluster, without faults. */
const FORMED_MS = 15_000;
/** Who was leaving or standing still when the faults ended is back by then. */
const AWAY_MS = 40_000;
/** From the last return to one whole cluster. */
const HEALED_MS = 30_000;
/** Two rounds of push/pull and the longest suspicion (G-1). */
const GOSSIP_MS = 90_000;
/** Voters are made odd and many again in steps that keep a distance (autopilot.ts), dead ones are replaced after two minutes. */
const VOTERS_MS = 400_000;
/** Push/pull comes by, and the last piece of news is told. */
const REST_MS = 60_000;
/** Operators that took voters out let them in again. */
const ADMITTED_MS = 60_000;
/** Every register of every client is read once more. */
const READ_MS = 10_000;
/** Calls that are open end first. */
const LOG_READ_MS = 20_000;
const ALONE_MS = 10_000;
const AGAIN_MS = 20_000;

export interface RunReport {
  readonly seed: number;
  readonly options: SimulationOptions;
  readonly hash: string;
  readonly simulatedMs: number;
  /** What it took, which no two runs agree on. */
  readonly cpuMs: number;
  readonly events: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly faultsDone: readonly FaultDone[];
  /** What a schedule of this run has. */
  readonly planned: readonly PlannedFault[];
  readonly formedMs: number | undefined;
  readonly healedMs: number | undefined;
  readonly clients: ClientFigures;
  readonly logClients: LogClientFigures;
  readonly failure: string | undefined;
  /** Of a failed run: the newest lines. */
  readonly story: readonly string[];
  /** How every node stood at the end. */
  readonly standings: readonly string[];
}

export interface RunSettings {
  readonly print?: (line: string) => void;
  readonly isVerbose?: boolean;
  readonly overrides?: Partial<SimulationOptions>;
}

export function runSeed(seed: number, settings: RunSettings = {}): RunReport {
  const options = { ...drawOptions(seed), ...settings.overrides };
  const cpuBefore = process.cpuUsage().user;
  const trace = new Trace(settings.print, settings.isVerbose);
  const simulation = new Simulation(options, trace);
  const times: Times = {};
  let failure: string | undefined;
  try {
    live(simulation, times);
  } catch (error) {
    failure = error instanceof Violation ? error.message : error instanceof Error ? String(error.stack) : String(error);
  }
  return {
    seed,
    options,
    hash: trace.hash,
    simulatedMs: simulation.now,
    cpuMs: (process.cpuUsage().user - cpuBefore) / 1_000,
    events: trace.events,
    faults: trace.counts,
    faultsDone: times.nemesis?.done ?? [],
    planned: times.nemesis?.planned ?? [],
    formedMs: times.formedMs,
    healedMs: times.healedMs,
    clients: times.clients ?? NO_CLIENTS,
    logClients: times.logClients ?? NO_LOG_CLIENTS,
    failure,
    story: failure === undefined ? [] : [...trace.recent],
    standings: standings(simulation),
  };
}

/** Within so long, or the run has failed. */
export function mustBecome(
  simulation: Simulation,
  what: string,
  lacking: () => string | undefined,
  withinMs: number,
): number {
  const took = simulation.runUntil(() => lacking() === undefined, withinMs, LOOK_MS);
  if (took === undefined) throw new Violation(`${what}: not within ${withinMs} ms: ${lacking()}`);
  return took;
}

interface Times {
  formedMs?: number;
  healedMs?: number;
  clients?: ClientFigures;
  logClients?: LogClientFigures;
  nemesis?: Nemesis;
}

const NO_CLIENTS: ClientFigures = { operations: 0, unknown: 0, fenced: 0, undecided: 0 };

function live(simulation: Simulation, times: Times): void {
  const { options } = simulation;
  for (let i = 0; i < options.voters; i++) simulation.addMachine('voter');
  for (let i = 0; i < options.nonVoters; i++) simulation.addMachine('non-voter');
  for (const machine of simulation.machines) simulation.start(machine);
  const nemesis = new Nemesis(simulation);
  times.nemesis = nemesis;
  if (!options.isFoundingDisturbed)
    times.formedMs = mustBecome(simulation, 'founding', () => missing(simulation), FORMED_MS);
  const clients = new Clients(simulation);
  clients.begin();
  const logClients = new LogClients(simulation);
  if (!options.isFoundingDisturbed) logClients.begin();
  nemesis.begin();
  simulation.run(options.faultsForMs);
  nemesis.end();
  mustBecome(simulation, 'restarts', () => stillAway(simulation), AWAY_MS);
  nemesis.close();
  mustBecome(simulation, 'readmissions', () => (nemesis.isEverybodyIn ? undefined : 'not all are in'), ADMITTED_MS);
  times.healedMs = mustBecome(simulation, 'healing', () => missing(simulation, 'gossip may lag'), HEALED_MS);
  clients.end();
  let isAllRead = false;
  clients.readAll(() => {
    isAllRead = true;
  });
  mustBecome(simulation, 'clients', () => (isAllRead ? undefined : 'some register has no owner'), READ_MS);
  times.clients = clients.judge();
  logClients.end();
  let isLogRead = false;
  logClients.readAll(() => {
    isLogRead = true;
  });
  mustBecome(simulation, 'log clients', () => (isLogRead ? undefined : 'some key is not read'), LOG_READ_MS);
  times.logClients = logClients.judge();
  mustBecome(simulation, 'gossip', () => missing(simulation), GOSSIP_MS);
  mustBecome(simulation, 'voters', () => missingVoters(simulation), VOTERS_MS);
  mustBecome(simulation, '7.6: rest', () => leftOver(simulation), REST_MS);
  stopAndStart(simulation);
}

/** Somebody is down, on its way out, or stands still. */
function stillAway(simulation: Simulation): string | undefined {
  const away = simulation.machines.find(({ process, hasLeft }) => process === undefined || hasLeft || process.isPaused);
  return away === undefined ? undefined : `${away.nodeId} is away`;
}

/** product.md, How a cluster starts: the last one stands alone, whoever comes back with its data is a voter again. */
export function stopAndStart(simulation: Simulation): void {
  const clusterId = simulation.running()[0]?.process?.cluster.clusterId;
  const order = simulation.chance.shuffled(simulation.running());
  // Non-voters cannot stand alone; whoever stops last must be able to.
  const sorted = [...order.filter(({ kind }) => kind !== 'voter'), ...order.filter(({ kind }) => kind === 'voter')];
  for (const machine of sorted) leaveInOrder(simulation, machine);
  const last = sorted.at(-1) as Machine;
  const claimant = sorted.find((machine) => machine !== last && claimsVote(machine));
  if (claimant !== undefined)
    throw new Violation(`${claimant.nodeId} left before ${last.nodeId}, and its disk still claims a vote`);
  simulation.run(1_000);
  simulation.start(last);
  mustBecome(simulation, `${last.nodeId} alone`, () => missing(simulation), ALONE_MS);
  for (const machine of sorted) if (machine.process === undefined) simulation.start(machine);
  mustBecome(simulation, 'all again', () => missing(simulation), AGAIN_MS);
  const now = simulation.running()[0]?.process?.cluster.clusterId;
  if (now !== clusterId) throw new Violation(`the cluster ${clusterId} came back as ${now}`);
}

function leaveInOrder(simulation: Simulation, machine: Machine): void {
  let isDone = false;
  simulation.leave(machine, (outcome) => {
    if (outcome?.kind !== 'done') throw new Violation(`${machine.nodeId} could not leave in order`);
    isDone = true;
  });
  mustBecome(simulation, `${machine.nodeId} leaves`, () => (isDone ? undefined : 'it does not end'), 21_000);
}
