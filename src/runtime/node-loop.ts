/**
 * The one loop that owns the node's core. Sockets, disk and callers only put inputs in its inbox; a turn drains what has
 * come, then performs the gathered effects, so that sends and disk writes batch by themselves (raft.md 12.1).
 */
import { unreachable } from '../base/assert.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterEffect, ClusterInput, ClusterOutcome, ClusterRequest, KvQuestion } from '../cluster/messages.ts';
import type { EtcdRequest } from '../etcd/messages.ts';
import type { RequestId } from '../model/ids.ts';
import type { KvAnswer, KvRequest } from '../model/kv.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { LoopStats } from '../model/node-stats.ts';
import { ClockWatch, type SystemClock } from './system-clock.ts';
import { withoutPassedThrough } from './turn-events.ts';

/** Inputs waiting for a turn. Only datagrams are dropped beyond it: whoever sent them expects losses. */
const INBOX_MAX = 16_384;
/** EX_SOFTWARE: something here is wrong, and not the disk, the data or the settings. */
const EXIT_BROKEN = 70;
/** A timer this late fired before sockets that were ready earlier: they are read first (raft.md 12.3). */
const LATE_MS = 25;

/** What performs the effects that leave the process. */
export interface Performer {
  sendDatagram(effect: Extract<ClusterEffect, { kind: 'sendDatagram' }>): void;
  stream(effect: Extract<ClusterEffect, { kind: 'openStream' | 'sendStream' | 'closeStream' }>): void;
  sendPeer(effect: Extract<ClusterEffect, { kind: 'sendPeer' }>): void;
  storage(
    effect: Extract<ClusterEffect, { kind: 'persist' | 'saveSnapshot' | 'installSnapshot' | 'identify' | 'resetLog' }>,
  ): void;
  rememberPeers(effect: Extract<ClusterEffect, { kind: 'rememberPeers' }>): void;
  rememberCluster(effect: Extract<ClusterEffect, { kind: 'rememberCluster' }>): void;
  saveKeyring(effect: Extract<ClusterEffect, { kind: 'saveKeyring' }>): void;
  etcd(request: EtcdRequest): void;
  stop(reason: string, exitCode: number): void;
}

export class NodeLoop {
  readonly #cluster: Cluster;
  readonly #clock: SystemClock;
  readonly #watch: ClockWatch;
  readonly #performer: Performer;
  readonly #publish: (loop: NodeLoop) => void;
  readonly #inbox: ClusterInput[] = [];
  readonly #listeners: Set<(event: NodeEvent) => void> = new Set();
  readonly #waiting: Map<RequestId, (outcome: ClusterOutcome) => void> = new Map();
  readonly #kvWaiting: Map<RequestId, (answer: KvAnswer) => void> = new Map();
  /** Of the input that waits in the inbox, if one does: those of a turn go together. */
  #kvQuestions: KvQuestion[] | undefined;
  #turnWaiters: (() => void)[] = [];
  #lastRequestId = 0;
  #isScheduled = false;
  #isRunning = false;
  #isStopped = false;
  #lastEvent: NodeEvent | undefined;
  readonly #stats: LoopStats = { turns: 0, inputs: 0, delayP99Ms: 0, inboxDropped: 0 };

  /** `publish`: hears of every turn before its effects are performed, and of the stop: what leaves the node may rest on it (O-5). */
  constructor(
    cluster: Cluster,
    clock: SystemClock,
    performer: Performer,
    publish: (loop: NodeLoop) => void = () => undefined,
  ) {
    this.#cluster = cluster;
    this.#clock = clock;
    this.#watch = new ClockWatch(clock);
    this.#performer = performer;
    this.#publish = publish;
  }

  get cluster(): Cluster {
    return this.#cluster;
  }

  get watch(): ClockWatch {
    return this.#watch;
  }

  get stats(): LoopStats {
    return this.#stats;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  post(input: ClusterInput): void {
    if (this.#isStopped) return;
    if (this.#inbox.length >= INBOX_MAX && (input.kind === 'datagram' || input.kind === 'peerFrame')) {
      this.#stats.inboxDropped += 1;
      return;
    }
    this.#inbox.push(input);
    this.#schedule();
  }

  /** Ends in exactly one call of `answer`: with the outcome, or with STOPPED when the node stops first. */
  request(request: ClusterRequest, answer: (outcome: ClusterOutcome) => void): RequestId {
    this.#lastRequestId += 1;
    const requestId = this.#lastRequestId as RequestId;
    if (this.#isStopped) {
      answer(STOPPED);
      return requestId;
    }
    this.#waiting.set(requestId, answer);
    this.post({ kind: 'request', requestId, request });
    return requestId;
  }

  /** Ends in exactly one call of `answer`. */
  askKv(request: KvRequest, answer: (answer: KvAnswer) => void): RequestId {
    this.#lastRequestId += 1;
    const requestId = this.#lastRequestId as RequestId;
    if (this.#isStopped) {
      answer({ kind: 'refused', code: 'STOPPED', reason: STOPPED_REASON });
      return requestId;
    }
    this.#kvWaiting.set(requestId, answer);
    if (this.#kvQuestions === undefined) {
      this.#kvQuestions = [];
      this.post({ kind: 'kvQuestions', questions: this.#kvQuestions });
    }
    this.#kvQuestions.push({ requestId, request });
    return requestId;
  }

  /** The caller has lost interest: its answer is dropped, what was asked for may still happen. */
  abandon(requestId: RequestId): void {
    this.#waiting.delete(requestId);
    this.#kvWaiting.delete(requestId);
  }

  /** Posts, and resolves after the turn that took it in; at once when the node has stopped. */
  take(input: ClusterInput): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    this.post(input);
    return new Promise((resolve) => {
      this.#turnWaiters.push(resolve);
    });
  }

  /** Who comes when all is over hears `stopped` alone: nobody waits for ever. */
  subscribe(listener: (event: NodeEvent) => void): () => void {
    if (this.#lastEvent !== undefined) return callListenerSoon(listener, this.#lastEvent);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** No further turn. Waiting callers are answered, subscribers hear `stopped`. */
  stop(reason: string, exitCode: number): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#publish(this);
    this.#clock.wakeAt(Number.POSITIVE_INFINITY, () => {});
    this.#inbox.length = 0;
    for (const answer of this.#waiting.values()) answer(STOPPED);
    this.#waiting.clear();
    // What was handed over may be in the log.
    for (const answer of this.#kvWaiting.values()) answer({ kind: 'unknown', reason: STOPPED_REASON });
    this.#kvWaiting.clear();
    for (const resolve of this.#turnWaiters.splice(0)) resolve();
    this.#lastEvent = { kind: 'stopped', reason, exitCode };
    this.#emit(this.#lastEvent);
    this.#listeners.clear();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isRunning) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  readonly #onTimer = (): void => {
    if (this.#isStopped || this.#isScheduled) return;
    if (this.#clock.lateness() <= LATE_MS) {
      this.#turn();
      return;
    }
    this.#isScheduled = true;
    setImmediate(() => setImmediate(this.#turn));
  };

  readonly #turn = (): void => {
    this.#isScheduled = false;
    if (this.#isStopped) return;
    this.#isRunning = true;
    try {
      this.#run();
    } catch (error) {
      // A broken invariant: what the core holds to be true is not, so it gets no further turn (house.md 6).
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#performer.stop(`a turn of the node failed: ${what}`, EXIT_BROKEN);
    }
    this.#isRunning = false;
    for (const resolve of this.#turnWaiters.splice(0)) resolve();
    if (this.#isStopped) return;
    if (this.#inbox.length > 0) this.#schedule();
    this.#clock.wakeAt(this.#cluster.nextDeadline(), this.#onTimer);
  };

  #run(): void {
    const effects: ClusterEffect[] = [];
    const jump = this.#watch.take();
    const inputs = this.#inbox.splice(0);
    this.#kvQuestions = undefined;
    // Read after the messages were taken: no heartbeat is dated before it was sent (ownership.md 1).
    const now = this.#clock.monotonic();
    if (jump > 0) this.#cluster.step({ kind: 'clockJumped', byMs: jump }, now, effects);
    for (const input of inputs) this.#cluster.step(input, now, effects);
    // A step settles what it has touched: most turns of an idle node have nothing else to do.
    if (now >= this.#cluster.nextDeadline()) this.#cluster.tick(now, effects);
    this.#stats.turns += 1;
    this.#stats.inputs += inputs.length;
    this.#publish(this);
    for (const effect of withoutPassedThrough(effects)) {
      // After a stop nothing more is said or written: what follows it was decided without knowing of it.
      if (this.#isStopped) return;
      this.#perform(effect);
    }
  }

  #perform(effect: ClusterEffect): void {
    switch (effect.kind) {
      case 'sendDatagram':
        this.#performer.sendDatagram(effect);
        return;
      case 'openStream':
      case 'sendStream':
      case 'closeStream':
        this.#performer.stream(effect);
        return;
      case 'sendPeer':
        this.#performer.sendPeer(effect);
        return;
      case 'persist':
      case 'saveSnapshot':
      case 'installSnapshot':
      case 'identify':
      case 'resetLog':
        this.#performer.storage(effect);
        return;
      case 'rememberPeers':
        this.#performer.rememberPeers(effect);
        return;
      case 'rememberCluster':
        this.#performer.rememberCluster(effect);
        return;
      case 'saveKeyring':
        this.#performer.saveKeyring(effect);
        return;
      case 'etcd':
        this.#performer.etcd(effect.request);
        return;
      case 'reply':
        this.#answer(effect.requestId, effect.outcome);
        return;
      case 'kvAnswers':
        for (const { requestId, answer } of effect.answers) this.#answerKv(requestId, answer);
        return;
      case 'notify':
        this.#emit(effect.event);
        return;
      case 'stop':
        this.#performer.stop(effect.reason, effect.exitCode);
        return;
      default:
        unreachable(effect);
    }
  }

  #answer(requestId: RequestId, outcome: ClusterOutcome): void {
    const answer = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    answer?.(outcome);
  }

  #answerKv(requestId: RequestId, answer: KvAnswer): void {
    const settle = this.#kvWaiting.get(requestId);
    this.#kvWaiting.delete(requestId);
    settle?.(answer);
  }

  #emit(event: NodeEvent): void {
    for (const listener of this.#listeners) callListener(listener, event);
  }
}

/** A subscriber that throws is its owner's trouble: it is reported as uncaught, and neither the turn nor other subscribers notice. */
export function callListener(listener: (event: NodeEvent) => void, event: NodeEvent): void {
  try {
    listener(event);
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

/** Once, when the caller has come to its end. Returns the function that keeps it from that. */
export function callListenerSoon(listener: (event: NodeEvent) => void, event: NodeEvent): () => void {
  let isWanted = true;
  queueMicrotask(() => {
    if (isWanted) callListener(listener, event);
  });
  return () => {
    isWanted = false;
  };
}

const STOPPED_REASON = 'the node has stopped';
const STOPPED: ClusterOutcome = { kind: 'refused', code: 'STOPPED', reason: STOPPED_REASON, leader: undefined };
