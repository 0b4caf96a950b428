/**
 * One process: the shipped core in a loop like runtime/node-loop.ts, with simulated sockets, disk and clocks around it. It can stand
 * still (what comes meanwhile waits in the kernel, timers fire late), also in the middle of a turn, and it can end at any instant.
 */
import { Cluster } from '../../src/cluster/cluster.ts';
import type { ClusterConfig } from '../../src/cluster/config.ts';
import type { ClusterEffect, ClusterInput, ClusterOutcome, ClusterRequest } from '../../src/cluster/messages.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { RequestId, ShardId, StreamId } from '../../src/model/ids.ts';
import type { KvAnswer, KvRequest } from '../../src/model/kv.ts';
import type { RecoveredLog } from '../../src/model/log.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import { ClockWatch } from '../../src/runtime/system-clock.ts';
import type { Chance } from './chance.ts';
import type { GossipStreams } from './gossip-streams.ts';
import type { Network, NetworkHost, PortName } from './network.ts';
import { SimulatedPeerLinks } from './peer-links.ts';
import type { SimulatedClock } from './simulated-clock.ts';
import type { SimulatedEtcd } from './simulated-etcd.ts';
import type { Directory, DiskEffect, Ending } from './directory.ts';

/** As in the real loop: a timer this late lets the sockets be read first. */
const LATE_MS = 25;
/** Datagrams that a kernel keeps for a process that stands still. */
const HELD_DATAGRAMS_MAX = 256;

export interface ProcessHost extends NetworkHost {
  readonly network: Network;
  readonly streams: GossipStreams;
  readonly etcd: SimulatedEtcd;
  readonly turnDelayMs: number;
  /** The core checks itself after so many turns. */
  readonly turnsBetweenChecks: number;
  onEvent(process: SimulatedProcess, event: NodeEvent): void;
  /** After every turn: what it emitted has been performed. */
  afterTurn(process: SimulatedProcess): void;
  onEffect(process: SimulatedProcess, effect: ClusterEffect): void;
  /** The core asked to be stopped. */
  onStop(process: SimulatedProcess, reason: string, exitCode: number): void;
}

export interface ProcessParts {
  readonly name: string;
  /** Which machine it runs on, by number. */
  readonly machine: number;
  readonly endpoints: ReadonlyMap<PortName, Endpoint>;
  readonly tags: ReadonlyMap<string, string>;
  readonly config: ClusterConfig;
  readonly directory: Directory;
  /** What the directory held when it was opened. */
  readonly recovered: RecoveredLog;
  readonly clock: SimulatedClock;
  readonly chance: Chance;
}

interface Held {
  readonly input: ClusterInput;
  readonly onTaken: (() => void) | undefined;
}

export class SimulatedProcess {
  readonly name: string;
  readonly machine: number;
  readonly endpoints: ReadonlyMap<PortName, Endpoint>;
  readonly config: ClusterConfig;
  readonly directory: Directory;
  readonly clock: SimulatedClock;
  readonly cluster: Cluster;
  readonly startedAt: number;
  readonly #watch: ClockWatch;
  readonly #host: ProcessHost;
  readonly #chance: Chance;
  readonly #tags: ReadonlyMap<string, string>;
  readonly #links: SimulatedPeerLinks;
  readonly #inbox: ClusterInput[] = [];
  readonly #waiting: Map<RequestId, (outcome: ClusterOutcome) => void> = new Map();
  readonly #kvWaiting: Map<RequestId, (answer: KvAnswer) => void> = new Map();
  #held: Held[] = [];
  #heldDatagrams = 0;
  #heldTimers: (() => void)[] = [];
  #heldEffects: readonly ClusterEffect[] = [];
  #pauseNumber = 0;
  #isPaused = false;
  #pauseInTurnMs = 0;
  #extraTurnMs = 0;
  #isTurnScheduled = false;
  #armedAt = Number.POSITIVE_INFINITY;
  #armedNumber = 0;
  #uncheckedTurns = 0;
  #lastRequestId = 0;
  #lastAccepted = -1;
  #isUp = true;
  #isPoweredOff = false;

  constructor(parts: ProcessParts, host: ProcessHost) {
    this.name = parts.name;
    this.machine = parts.machine;
    this.endpoints = parts.endpoints;
    this.config = parts.config;
    this.directory = parts.directory;
    this.clock = parts.clock;
    this.startedAt = host.now;
    this.#tags = parts.tags;
    this.#chance = parts.chance;
    this.#host = host;
    this.#watch = new ClockWatch(parts.clock);
    this.#links = new SimulatedPeerLinks(this, host.network, host, parts.chance);
    this.cluster = new Cluster(parts.config, parts.recovered, parts.directory.written.clusterId, parts.chance);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Its machine says nothing any more, not even that nobody listens. */
  get isPoweredOff(): boolean {
    return this.#isPoweredOff;
  }

  get links(): SimulatedPeerLinks {
    return this.#links;
  }

  start(): void {
    this.#host.network.listen(this);
    const endpoints = new Map([...this.endpoints].map(([name, endpoint]) => [`ep.${name}`, endpoint]));
    this.post({ kind: 'start', tags: this.#tags, endpoints });
    this.directory.onRoom = (room) => this.receive({ kind: 'room', room });
    this.directory.onFailure = (reason) => this.receive({ kind: 'persistFailed', reason });
    if (this.directory.room !== 'enough') this.receive({ kind: 'room', room: this.directory.room });
    const { peers } = this.directory;
    if (peers.length > 0) this.post({ kind: 'discovered', gossip: peers, searched: false });
  }

  get openRequests(): number {
    return this.#waiting.size + this.#kvWaiting.size;
  }

  nextAcceptedStream(): StreamId {
    this.#lastAccepted += 2;
    return this.#lastAccepted as StreamId;
  }

  request(request: ClusterRequest, answer: (outcome: ClusterOutcome) => void): void {
    this.#lastRequestId += 1;
    const requestId = this.#lastRequestId as RequestId;
    this.#waiting.set(requestId, answer);
    this.post({ kind: 'request', requestId, request });
  }

  /** Nobody is answered once the process has ended. */
  askKv(request: KvRequest, answer: (answer: KvAnswer) => void): void {
    this.#lastRequestId += 1;
    const requestId = this.#lastRequestId as RequestId;
    this.#kvWaiting.set(requestId, answer);
    this.post({ kind: 'kvQuestions', questions: [{ requestId, request }] });
  }

  /** Something that comes by a socket. `onTaken` runs when the loop has it. */
  receive(input: ClusterInput, onTaken?: () => void): void {
    if (!this.#isUp) return;
    if (!this.#isPaused) {
      this.post(input);
      onTaken?.();
      return;
    }
    if (input.kind === 'datagram') {
      if (this.#heldDatagrams >= HELD_DATAGRAMS_MAX) return;
      this.#heldDatagrams += 1;
    }
    this.#held.push({ input, onTaken });
  }

  /** Runs now, or with the sockets when the process goes on. */
  whenRunning(act: () => void): void {
    if (!this.#isUp) return;
    if (this.#isPaused) this.#held.push({ input: NOTHING, onTaken: act });
    else act();
  }

  /** Runs now, or with the timers when the process goes on: before the sockets. */
  onTimer(act: () => void): void {
    if (!this.#isUp) return;
    if (this.#isPaused) this.#heldTimers.push(act);
    else act();
  }

  post(input: ClusterInput): void {
    if (!this.#isUp) return;
    this.#inbox.push(input);
    this.#scheduleTurn();
  }

  // Readings, as runtime/local-node-handle.ts gives them.

  /** Monotonic milliseconds plus what the wall clock jumped ahead: what is held until an instant is compared with this. */
  get holdingNow(): number {
    return this.clock.monotonic() + this.#watch.peek();
  }

  owns(shard: ShardId): boolean {
    return this.cluster.serving(shard) !== undefined && this.holdingNow < this.cluster.leaseUntil;
  }

  // Faults.

  pause(forMs: number, kind: 'stopped' | 'suspended'): void {
    if (!this.#isUp || this.#isPaused) return;
    this.#isPaused = true;
    this.#pauseNumber += 1;
    const number = this.#pauseNumber;
    if (kind === 'suspended') this.clock.suspend();
    this.#host.at(this.#host.now + forMs, () => {
      if (this.#isUp && this.#isPaused && number === this.#pauseNumber) this.#resume(forMs);
    });
  }

  /** The next turn decides, stands still, and only then does. */
  pauseInNextTurn(forMs: number): void {
    this.#pauseInTurnMs = forMs;
  }

  /** Each turn comes so much later: a machine that is busy with other things. */
  slowDown(extraTurnMs: number): void {
    this.#extraTurnMs = extraTurnMs;
  }

  end(how: Ending): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#isPoweredOff = how === 'poweredOff';
    this.clock.resume();
    if (!this.#isPoweredOff) this.#host.network.silence(this);
    this.#host.streams.onCrash(this, this.#isPoweredOff);
    this.#inbox.length = 0;
    this.#held.length = 0;
    this.#waiting.clear();
    this.#kvWaiting.clear();
  }

  #resume(afterMs: number): void {
    this.clock.resume();
    this.#isPaused = false;
    const effects = this.#heldEffects;
    this.#heldEffects = [];
    for (const effect of effects) this.#perform(effect);
    const timers = this.#heldTimers.splice(0);
    for (const act of timers) if (this.#isUp) act();
    if (this.#armedAt <= this.clock.monotonic() && afterMs <= LATE_MS) this.#turn();
    const held = this.#held.splice(0);
    this.#heldDatagrams = 0;
    for (const { input, onTaken } of held) {
      if (input !== NOTHING) this.post(input);
      onTaken?.();
    }
    // A timer of before may have been spent while the process stood still, at an instant that its own clock has not reached yet.
    this.#armedAt = Number.POSITIVE_INFINITY;
    this.#isTurnScheduled = false;
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    this.#host.at(this.#host.now + this.#chance.between(0.01, this.#host.turnDelayMs + this.#extraTurnMs), () => {
      if (this.#isPaused || !this.#isTurnScheduled) return;
      this.#turn();
    });
  }

  #onTimer(number: number): void {
    if (!this.#isUp || number !== this.#armedNumber || this.#isTurnScheduled) return;
    if (this.#isPaused) return;
    this.#turn();
  }

  #turn(): void {
    this.#isTurnScheduled = false;
    if (!this.#isUp) return;
    const effects: ClusterEffect[] = [];
    const jump = this.#watch.take();
    const inputs = this.#inbox.splice(0);
    const now = this.clock.monotonic();
    const { cluster } = this;
    if (jump > 0) cluster.step({ kind: 'clockJumped', byMs: jump }, now, effects);
    for (const input of inputs) cluster.step(input, now, effects);
    cluster.tick(now, effects);
    this.#check();
    if (this.#pauseInTurnMs > 0) {
      this.#heldEffects = effects;
      const forMs = this.#pauseInTurnMs;
      this.#pauseInTurnMs = 0;
      this.pause(forMs, 'stopped');
      this.#armedAt = Number.POSITIVE_INFINITY;
      this.#host.afterTurn(this);
      return;
    }
    for (const effect of effects) this.#perform(effect);
    if (!this.#isUp) return;
    this.#host.afterTurn(this);
    this.#arm();
  }

  #check(): void {
    this.#uncheckedTurns += 1;
    if (this.#uncheckedTurns < this.#host.turnsBetweenChecks) return;
    this.#uncheckedTurns = 0;
    this.cluster.check();
  }

  #arm(): void {
    const at = this.cluster.nextDeadline();
    const now = this.clock.monotonic();
    if (at === Number.POSITIVE_INFINITY) {
      this.#armedNumber += 1;
      this.#armedAt = at;
      return;
    }
    if (this.#armedAt > now && this.#armedAt <= at) return;
    this.#armedAt = Math.max(at, now);
    this.#armedNumber += 1;
    const number = this.#armedNumber;
    // Node's timers count whole milliseconds, and no less than one.
    const delay =
      Math.max(1, Math.ceil(at - now)) + this.#chance.between(0, this.#host.turnDelayMs + this.#extraTurnMs);
    this.#host.at(this.clock.trueAt(now + delay), () => this.#onTimer(number));
  }

  #perform(effect: ClusterEffect): void {
    if (!this.#isUp) return;
    this.#host.onEffect(this, effect);
    switch (effect.kind) {
      case 'sendDatagram':
        this.#host.network.send(this, effect.channel, effect.to, effect.bytes);
        return;
      case 'openStream':
        this.#host.streams.open(this, effect.stream, effect.to);
        return;
      case 'sendStream':
        this.#host.streams.send(this, effect.stream, effect.bytes);
        return;
      case 'closeStream':
        this.#host.streams.close(this, effect.stream);
        return;
      case 'sendPeer':
        this.#links.send(effect.to, effect.endpoint, effect.bytes);
        return;
      case 'persist':
      case 'saveSnapshot':
      case 'installSnapshot':
      case 'identify':
      case 'resetLog':
        this.#store(effect);
        return;
      case 'etcd':
        this.#host.etcd.perform(this, effect.request);
        return;
      case 'saveKeyring':
        throw new Error(`${this.name} has no keyring file`);
      case 'rememberPeers':
        this.directory.peers = effect.gossip;
        return;
      case 'rememberCluster':
        this.directory.followed = effect.clusterId;
        return;
      case 'reply':
        this.#answer(effect.requestId, effect.outcome);
        return;
      case 'kvAnswers':
        for (const { requestId, answer } of effect.answers) this.#answerKv(requestId, answer);
        return;
      case 'notify':
        this.#host.onEvent(this, effect.event);
        return;
      case 'stop':
        this.#host.onStop(this, effect.reason, effect.exitCode);
        return;
    }
  }

  #store(effect: DiskEffect): void {
    this.directory.submit(effect, (input) => this.receive(input));
  }

  #answerKv(requestId: RequestId, answer: KvAnswer): void {
    const settle = this.#kvWaiting.get(requestId);
    if (settle === undefined) throw new Error(`${this.name} answers key-value request ${requestId} again`);
    this.#kvWaiting.delete(requestId);
    settle(answer);
  }

  #answer(requestId: RequestId, outcome: ClusterOutcome): void {
    if (requestId < 0) throw new Error(`${this.name} answers a request of its own: ${requestId}`);
    const answer = this.#waiting.get(requestId);
    if (answer === undefined) throw new Error(`${this.name} answers request ${requestId} again`);
    this.#waiting.delete(requestId);
    answer(outcome);
  }
}

/** Takes a place among the held inputs and is none. */
const NOTHING: ClusterInput = { kind: 'loopDelay', p99Ms: 0 };
