/**
 * A cluster in one thread on an invented network: machines with data directories, processes that come and go on them, and one queue
 * of events in true time. One seed is one run. Checkers look after every turn of every process.
 */
import type { ClusterConfig } from '../../src/cluster/config.ts';
import type { ClusterOutcome, ClusterRequest } from '../../src/cluster/messages.ts';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import { DEFAULT_LIVENESS_CONFIG } from '../../src/liveness/config.ts';
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import type { NodeId } from '../../src/model/ids.ts';
import type { RecoveredLog } from '../../src/model/log.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import type { NodeKind } from '../../src/model/node-state.ts';
import type { NodeView } from '../../src/model/node-view.ts';
import {
  TAG_EP_LIVENESS,
  TAG_EP_RAFT,
  TAG_EP_SERF,
  TAG_PRIORITY,
  TAG_ROLE,
  TAG_SERVICE_NAME,
} from '../../src/model/tags.ts';
import { DEFAULT_SNAPSHOT_POLICY } from '../../src/cluster/snapshot-schedule.ts';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.ts';
import { serfConfig } from '../../src/serf/config.ts';
import { shardingConfig } from '../../src/sharding/config.ts';
import { Chance } from './chance.ts';
import { type Checker, makeCheckers } from './checkers.ts';
import type { Directory, Ending } from './directory.ts';
import { DiskDirectory } from './disk-directory.ts';
import { EventQueue } from './event-queue.ts';
import { GossipStreams } from './gossip-streams.ts';
import { Network, type PortName } from './network.ts';
import type { NetworkOptions, SimulationOptions } from './options.ts';
import { type ProcessHost, SimulatedProcess } from './process.ts';
import { SimulatedClock } from './simulated-clock.ts';
import { SimulatedDirectory } from './simulated-directory.ts';
import { SimulatedDiscovery } from './simulated-discovery.ts';
import { SimulatedEtcd } from './simulated-etcd.ts';
import type { Trace } from './trace.ts';
import { Violation } from './violation.ts';

const CLUSTER_NAME = 'simulated';
const EXIT_DISK_FAILED = 74;
const RESTARTED_MS = 1_000;
const WALL_MS = 1_750_000_000_000;
/** The cores' own checks of themselves cost as much as all they do: what is broken stays broken until the next one. */
const TURNS_BETWEEN_CHECKS = 4;

/** A place where a node runs, across restarts. */
export interface Machine {
  readonly number: number;
  readonly nodeId: NodeId;
  readonly kind: NodeKind;
  readonly directory: Directory;
  readonly rate: number;
  /** Which ports it binds; another number is another address. */
  address: number;
  boots: number;
  process: SimulatedProcess | undefined;
  /** It left in order and is meant to be away. */
  hasLeft: boolean;
  /** Its disk takes this much longer. */
  slowness: number;
  /** What the options of its next start say of the lease. */
  ownLeaseMs: number;
}

export class Simulation implements ProcessHost {
  readonly options: SimulationOptions;
  readonly trace: Trace;
  readonly chance: Chance;
  readonly network: Network;
  readonly streams: GossipStreams;
  readonly discovery: SimulatedDiscovery;
  readonly etcd: SimulatedEtcd;
  readonly machines: Machine[] = [];
  readonly checkers: readonly Checker[];
  readonly watchers: ((process: SimulatedProcess, event: NodeEvent) => void)[] = [];
  readonly #queue: EventQueue;
  #processes: readonly SimulatedProcess[] | undefined;
  now = 0;
  /** True while something may go wrong by itself: a core that asks to be stopped is then no surprise. */
  turns = 0;

  constructor(options: SimulationOptions, trace: Trace) {
    this.options = options;
    this.trace = trace;
    this.chance = new Chance(options.seed, 'world');
    const order = new Chance(options.seed, 'order');
    this.#queue = new EventQueue(() => order.next());
    this.network = new Network(this, calm(options.network), new Chance(options.seed, 'network'));
    this.streams = new GossipStreams(this.network, this);
    this.discovery = new SimulatedDiscovery(this.network, this, new Chance(options.seed, 'mdns'));
    const etcd = new Chance(options.seed, 'etcd');
    const rate = 1 + etcd.between(-options.clockDrift, options.clockDrift);
    this.etcd = new SimulatedEtcd(this, etcd, { rate, meanMs: options.network.delayMeanMs + options.diskMs });
    this.checkers = makeCheckers();
  }

  get turnDelayMs(): number {
    return this.options.turnDelayMs;
  }

  /** Whoever watches a run packet by packet wants to know the very turn that broke something. */
  get turnsBetweenChecks(): number {
    return this.trace.isVerbose ? 1 : TURNS_BETWEEN_CHECKS;
  }

  at(instant: number, act: () => void): void {
    this.#queue.push(Math.max(this.now, instant), act);
  }

  /** Runs for so long. */
  run(forMs: number): void {
    this.runUntil(() => false, forMs);
  }

  /** Runs until `isReached` holds, looking at it every few milliseconds; the time it took, or undefined when it took too long. */
  runUntil(isReached: () => boolean, withinMs: number, everyMs = 10): number | undefined {
    const start = this.now;
    const end = start + withinMs;
    let lookAt = start;
    while (this.now < end) {
      if (this.now >= lookAt) {
        if (isReached()) return this.now - start;
        lookAt = this.now + everyMs;
      }
      const next = Math.min(this.#queue.nextAt, lookAt, end);
      this.now = next;
      if (this.#queue.nextAt <= next) this.#queue.pop()?.act();
    }
    return isReached() ? this.now - start : undefined;
  }

  // Machines and their processes.

  addMachine(kind: NodeKind, name?: string): Machine {
    const number = this.machines.length;
    const chance = new Chance(this.options.seed, `machine/${number}`);
    const nodeId = (name ?? `${kind === 'voter' ? 'v' : 'n'}${chance.hex(2)}-${number}`) as NodeId;
    const Kept = this.options.hasFiles && kind === 'voter' ? DiskDirectory : SimulatedDirectory;
    const machine: Machine = {
      number,
      nodeId,
      kind,
      rate: 1 + chance.between(-this.options.clockDrift, this.options.clockDrift),
      address: 0,
      boots: 0,
      process: undefined,
      hasLeft: false,
      slowness: 0,
      ownLeaseMs: this.options.leaseMs,
      directory: new Kept({
        nodeId,
        after: (delayMs, act) => this.at(this.now + delayMs, act),
        latencyMs: () => 0.05 + chance.exponential(this.options.diskMs + machine.slowness),
        chance,
        isInMemory: kind !== 'voter',
      }),
    };
    this.machines.push(machine);
    return machine;
  }

  start(machine: Machine): void {
    if (machine.process !== undefined) throw new Error(`${machine.nodeId} runs already`);
    machine.boots += 1;
    machine.hasLeft = false;
    const chance = new Chance(this.options.seed, `process/${machine.number}/${machine.boots}`);
    const clock = new SimulatedClock(() => this.now, {
      rate: machine.rate,
      origin: chance.between(1_000, 1e8),
      wallMs: WALL_MS + chance.between(-500, 500),
    });
    const recovered = this.#open(machine);
    if (recovered === undefined) return;
    const endpoints = endpointsOf(machine);
    const gossip = endpoints.get('gossip') as Endpoint;
    const process = new SimulatedProcess(
      {
        name: machine.nodeId,
        machine: machine.number,
        endpoints,
        tags: tagsOf(machine, endpoints, this.options.priorities[machine.number]),
        config: this.#configOf(machine, gossip, clock),
        directory: machine.directory,
        recovered,
        clock,
        chance,
      },
      this,
    );
    machine.process = process;
    this.#processes = undefined;
    this.note(`${machine.nodeId} starts (boot ${machine.boots})`);
    process.start();
    this.discovery.join(process);
  }

  /** An operator replaces who refuses what it finds; whose disk fails, or is full, is started again by whoever looks after it. */
  #open(machine: Machine): RecoveredLog | undefined {
    const { nodeId, directory } = machine;
    const found = directory.open();
    if (!('why' in found)) return found;
    this.note(`${nodeId} does not start: ${found.text}`);
    if (found.why === 'failed') {
      this.#startAgain(machine);
      return undefined;
    }
    this.trace.count('setAside');
    directory.setAside();
    const again = directory.open();
    if ('why' in again) throw new Violation(`${nodeId} does not start in an empty directory: ${again.text}`);
    return again;
  }

  #startAgain(machine: Machine): void {
    const { boots } = machine;
    this.at(this.now + RESTARTED_MS, () => {
      // Somebody else may have started it meanwhile, and stopped it again.
      if (machine.process === undefined && machine.boots === boots) this.start(machine);
    });
  }

  crash(machine: Machine, how: Ending): void {
    const { process } = machine;
    if (process === undefined) return;
    this.note(`${machine.nodeId} is ${how}`);
    machine.process = undefined;
    this.#processes = undefined;
    process.end(how);
    machine.directory.crash(how);
    if (how === 'poweredOff') return;
    for (const other of this.processes()) other.links.onRemoteGone(process);
  }

  /** The orderly stop: asks, waits for the answer (or 15 s), and ends the process. */
  leave(machine: Machine, then?: (outcome: ClusterOutcome | undefined) => void): void {
    const { process } = machine;
    if (process === undefined) return;
    this.note(`${machine.nodeId} is asked to leave`);
    machine.hasLeft = true;
    let isOver = false;
    const end = (outcome: ClusterOutcome | undefined): void => {
      if (isOver || !process.isUp) return;
      isOver = true;
      this.note(`${machine.nodeId} has left: ${outcome?.kind ?? 'in vain'}`);
      this.crash(machine, 'stopped');
      then?.(outcome);
    };
    process.request({ kind: 'leave' }, end);
    this.at(this.now + 20_000, () => end(undefined));
  }

  request(machine: Machine, request: ClusterRequest, then?: (outcome: ClusterOutcome) => void): void {
    machine.process?.request(request, (outcome) => {
      this.note(`${machine.nodeId} answers ${request.kind}: ${outcome.kind}`);
      then?.(outcome);
    });
  }

  /** Asked after every turn, and so made only when somebody has come or gone. */
  processes(): readonly SimulatedProcess[] {
    this.#processes ??= this.machines.flatMap(({ process }) => (process === undefined ? [] : [process]));
    return this.#processes;
  }

  /** Machines with a process that is not on its way out. */
  running(): Machine[] {
    return this.machines.filter(({ process, hasLeft }) => process !== undefined && !hasLeft);
  }

  view(machine: Machine): NodeView | undefined {
    const { process } = machine;
    return process?.cluster.view(process.clock.monotonic());
  }

  leader(): Machine | undefined {
    return this.running().find((machine) => this.view(machine)?.role === 'Leader');
  }

  note(text: string): void {
    this.trace.line(this.now, text);
  }

  // What processes tell.

  onEvent(process: SimulatedProcess, event: NodeEvent): void {
    this.trace.mix(event.kind.length, process.machine);
    const text = textOf(event);
    if (text !== undefined) this.note(`${process.name} ${text}`);
    for (const checker of this.checkers) checker.onEvent?.(this, process, event);
    for (const watcher of this.watchers) watcher(process, event);
  }

  onEffect(process: SimulatedProcess, effect: ClusterEffect): void {
    const code = process.machine * 32 + effect.kind.length;
    if ('bytes' in effect) this.trace.mixBytes(code, effect.bytes);
    else this.trace.mix(code, Math.round(this.now * 1_000));
    if (!this.trace.isVerbose || effect.kind === 'notify') return;
    if (effect.kind === 'sendPeer') this.note(`  ${process.name} > ${effect.to} ${effect.bytes.length} bytes`);
    else this.note(`  ${process.name} ${effect.kind}${detailOf(effect)}`);
  }

  onEtcdOutage(machine: number | undefined): void {
    this.trace.count('etcdOutage');
    this.note(`etcd is away for ${machine === undefined ? 'all' : (this.machines[machine]?.nodeId ?? 'nobody')}`);
  }

  afterTurn(process: SimulatedProcess): void {
    this.turns += 1;
    for (const checker of this.checkers) checker.afterTurn?.(this, process);
  }

  /** Only a disk that fails may end a process; whoever looks after it starts it again. */
  onStop(process: SimulatedProcess, reason: string, exitCode: number): void {
    const machine = this.machines[process.machine] as Machine;
    if (exitCode === EXIT_DISK_FAILED && machine.directory.hasFailed) {
      this.note(`${process.name} stops (${exitCode}): ${reason}`);
      this.crash(machine, 'killed');
      this.#startAgain(machine);
      return;
    }
    throw new Violation(`${process.name} stops by itself (${exitCode}): ${reason}`);
  }

  #configOf(machine: Machine, gossip: Endpoint, clock: SimulatedClock): ClusterConfig {
    const { snapshots } = this.options;
    return {
      // Every other cluster cuts its log all the time, and all compare their states often.
      snapshots: {
        ...DEFAULT_SNAPSHOT_POLICY,
        ...(snapshots && { ...snapshots, bytes: Number.POSITIVE_INFINITY }),
        ...(this.options.seed % 2 === 0 && { entries: 6, bytes: 1_048_576, trailing: 2 }),
        digests: 4,
      },
      nodeId: machine.nodeId,
      stamp: machine.directory.written.stamp,
      dissolutions: machine.directory.written.dissolutions,
      followed: machine.directory.followed,
      clusterName: CLUSTER_NAME,
      kind: machine.kind,
      founding: { isZeroconf: true, isBootstrap: false, expect: 0 },
      isAutoJoin: true,
      votersWanted: this.options.votersWanted,
      leaderPriority: this.options.priorities[machine.number] ?? 0,
      ownsShards: true,
      isDirectoryLocked: machine.kind === 'voter',
      hasReleaseHook: false,
      hasAcquireHook: false,
      startedWallMs: clock.wall(),
      startedAt: clock.monotonic(),
      serf: serfConfig({ swim: { name: machine.nodeId, advertise: gossip } }),
      raft: DEFAULT_RAFT_CONFIG,
      // Scaled down with the harm, which kills in ten seconds what life kills in an hour.
      sharding: shardingConfig({
        shardCount: this.options.shards,
        leaseMs: machine.ownLeaseMs,
        flapHoldMs: 500,
        restartGraceMs: this.options.restartGraceMs,
      }),
      liveness: DEFAULT_LIVENESS_CONFIG,
      etcd: this.options.hasEtcd ? { prefix: '/simulated', ttlSeconds: 2, where: 'nowhere' } : undefined,
    };
  }
}

/** The same distances, and nothing lost: until the harm begins. */
export function calm(network: NetworkOptions): NetworkOptions {
  return { ...network, loss: 0, duplication: 0, lateness: 0, replay: 0 };
}

function endpointsOf(machine: Machine): ReadonlyMap<PortName, Endpoint> {
  const host = `10.0.${machine.address}.${machine.number + 1}`;
  return new Map<PortName, Endpoint>([
    ['gossip', { host, port: 7946 }],
    ['streams', { host, port: 7946 }],
    ['peer', { host, port: 7947 }],
    ['liveness', { host, port: 7949 }],
  ]);
}

function tagsOf(
  machine: Machine,
  endpoints: ReadonlyMap<PortName, Endpoint>,
  priority: number | undefined,
): ReadonlyMap<string, string> {
  const text = (port: PortName): string => formatEndpoint(endpoints.get(port) as Endpoint);
  return new Map([
    [TAG_SERVICE_NAME, CLUSTER_NAME],
    [TAG_ROLE, machine.kind],
    [TAG_EP_SERF, text('gossip')],
    [TAG_EP_RAFT, text('peer')],
    [TAG_EP_LIVENESS, text('liveness')],
    ...(priority === undefined ? [] : ([[TAG_PRIORITY, String(priority)]] as const)),
  ]);
}

function detailOf(effect: ClusterEffect): string {
  if (effect.kind === 'persist') {
    const { entries, truncateFrom } = effect.batch;
    return ` entries ${entries?.[0]?.index ?? '-'} to ${entries?.at(-1)?.index ?? '-'}, truncated from ${truncateFrom ?? '-'}`;
  }
  if (effect.kind === 'saveSnapshot') return ` through ${effect.meta.lastLog.index}, kept from ${effect.keepFrom}`;
  if (effect.kind === 'installSnapshot') return ` through ${effect.meta.lastLog.index}`;
  return 'bytes' in effect ? ` ${effect.bytes.length} bytes` : '';
}

/** One line for the events that tell a story. */
function textOf(event: NodeEvent): string | undefined {
  switch (event.kind) {
    case 'stateChanged':
      return `${event.from} -> ${event.to}`;
    case 'roleChanged':
      return `role ${event.from} -> ${event.to} in term ${event.term}`;
    case 'leaderChanged':
    case 'leaderLost':
      return `${event.kind} ${event.leader} in term ${event.term}`;
    case 'memberJoined':
    case 'memberLeft':
    case 'memberFailed':
    case 'memberReaped':
      return `${event.kind} ${event.member.name}`;
    case 'clusterFounded':
    case 'clusterJoined':
      return `${event.kind} ${event.clusterId}`;
    case 'clusterConflict':
      return `conflict: ours ${event.ours}, ${event.node} is of ${event.theirs}`;
    case 'clusterDissolved':
      return `dissolves ${event.ours} into ${event.into}`;
    case 'configurationChanged':
      return `voters ${event.voters.join(',')} learners ${event.learners.join(',')}`;
    case 'shardMapProposed':
      return `proposed map ${event.version}`;
    case 'shardMapChanged':
      return `map ${event.map.version} of ${event.map.owners.map((owner) => owner.node).join(',')}`;
    case 'warning':
    case 'waiting':
      return `${event.kind}: ${event.text}`;
    case 'ailmentChanged':
      return event.ailment === undefined ? 'fit to lead' : `unfit to lead: ${event.ailment}`;
    case 'storageRoomChanged':
      return `room for the log: ${event.room}`;
    case 'leaseGained':
    case 'leaseLost':
    case 'stopped':
      return event.kind;
    case 'livenessChanged':
      return `finds ${event.node} ${event.alive ? 'alive' : 'dead'}`;
    case 'dropped':
      return `dropped in ${event.where}: ${event.reason}`;
    case 'eventsForgotten':
    case 'memberUpdated':
    case 'endpointChanged':
    case 'restartPermitChanged':
    case 'shardsReleasing':
    case 'shardsReleaseOver':
    case 'shardsStarted':
    case 'keysChanged':
    case 'userEvent':
    case 'queryAsked':
    case 'queryAck':
    case 'queryResponse':
    case 'queryEnded':
      return undefined;
  }
}
