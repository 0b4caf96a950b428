/**
 * The liveness check: every watched peer is sent a short packet and sends it back (clusterfunk's way, features A11).
 * This core is both sides, so that one socket may serve both: it asks the peers it watches, judges their echoes, and
 * echoes what others ask. With nobody to watch it is the plain echo endpoint.
 *
 *   watch -> alive --(misses outweigh echoes by `retries`)--> dead --(echoes have made up for it)--> alive
 *
 * Invariants: an echo counts only from the watched endpoint and only once per question; an echo is never echoed; an
 * answer is never longer than what was asked; `alive` and `dead` of an id alternate, and the first is `dead`.
 */
import { assert } from '../base/assert.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { Machine, MonotonicMs } from '../base/machine.ts';
import { formatEndpoint, sameEndpoint, type Endpoint } from '../model/endpoint.ts';
import type { LivenessStats } from '../model/node-stats.ts';
import { echoOf, isWholeEcho, makeQuestion, SHORT_ECHO_BYTES } from '../wire/liveness/packet.ts';
import type { LivenessConfig } from './config.ts';
import { EchoLimiter } from './echo-limiter.ts';
import type { LivenessEffect, LivenessInput } from './messages.ts';
import { WatchedPeer, type Verdict } from './watched-peer.ts';

export { echoOf } from '../wire/liveness/packet.ts';

/** What keeps the questions unforeseeable. From the operating system in a node, from the seed in a simulation. */
export const LIVENESS_SECRET_BYTES = 32;

export class Liveness implements Machine<LivenessInput, LivenessEffect> {
  readonly #config: LivenessConfig;
  readonly #secret: Uint8Array;
  readonly #limiter: EchoLimiter;
  readonly #peers: Map<string, WatchedPeer> = new Map();
  /** Several ids may share an address. */
  readonly #byAddress: Map<string, Set<WatchedPeer>> = new Map();
  readonly #deadlines: DeadlineHeap<string> = new DeadlineHeap();
  readonly #stats: LivenessStats = { watched: 0, alive: 0, checksSent: 0, echoesReceived: 0, deaths: 0, dropped: 0 };
  #sequence = 0;

  /** `config` has passed `validateLivenessConfig`. */
  constructor(config: LivenessConfig, secret: Uint8Array) {
    assert(secret.length >= LIVENESS_SECRET_BYTES, 'a liveness secret has at least 32 bytes');
    this.#config = config;
    this.#secret = secret;
    this.#limiter = new EchoLimiter(config.echoesPerSourceMax);
  }

  get stats(): Readonly<LivenessStats> {
    return this.#stats;
  }

  /** Undefined when `id` is not watched. A peer counts as alive until it has failed. */
  isAlive(id: string): boolean | undefined {
    return this.#peers.get(id)?.alive;
  }

  step(input: LivenessInput, now: MonotonicMs, effects: LivenessEffect[]): void {
    this.#forgivePause(now);
    switch (input.kind) {
      case 'watch':
        this.#watch(input.id, input.endpoint, now, effects);
        break;
      case 'unwatch':
        this.#unwatch(input.id);
        break;
      case 'clear':
        for (const id of [...this.#peers.keys()]) this.#unwatch(id);
        break;
      case 'heard':
        this.#onHeard(input.id, now);
        break;
      case 'datagram':
        this.#onDatagram(input.from, input.bytes, now, effects);
        break;
    }
  }

  tick(now: MonotonicMs, effects: LivenessEffect[]): void {
    this.#forgivePause(now);
    for (;;) {
      const id = this.#deadlines.popDue(now);
      if (id === undefined) return;
      const peer = this.#peers.get(id);
      assert(peer !== undefined, 'a deadline belongs to a watched peer');
      this.#tell(peer, peer.judge(now), effects);
      if (peer.isAskedAt(now)) this.#ask(peer, now, effects);
      this.#deadlines.set(id, peer.wakeAt);
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#deadlines.next();
  }

  check(): void {
    let alive = 0;
    for (const peer of this.#peers.values()) {
      peer.check();
      if (peer.alive) alive += 1;
      assert(this.#deadlines.deadlineOf(peer.id) === peer.wakeAt, 'every watched peer has its deadline in the heap');
      assert(
        this.#byAddress.get(addressKey(peer.endpoint))?.has(peer) === true,
        'every watched peer is found by address',
      );
    }
    assert(this.#deadlines.size === this.#peers.size, 'only watched peers have deadlines');
    assert(this.#stats.watched === this.#peers.size && this.#stats.alive === alive, 'the counts match the peers');
  }

  #watch(id: string, endpoint: Endpoint, now: MonotonicMs, effects: LivenessEffect[]): void {
    const known = this.#peers.get(id);
    if (known !== undefined) {
      if (sameEndpoint(known.endpoint, endpoint)) return;
      this.#leaveAddress(known);
      known.move(endpoint, now);
      this.#enterAddress(known);
      this.#deadlines.set(id, known.wakeAt);
      return;
    }
    if (this.#peers.size >= this.#config.watchedMax) {
      this.#drop('no room to watch another peer', effects);
      return;
    }
    const peer = new WatchedPeer(id, endpoint, this.#config, now);
    this.#peers.set(id, peer);
    this.#enterAddress(peer);
    this.#deadlines.set(id, peer.wakeAt);
    this.#stats.watched += 1;
    this.#stats.alive += 1;
  }

  #unwatch(id: string): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    this.#leaveAddress(peer);
    this.#deadlines.delete(id);
    this.#stats.watched -= 1;
    if (peer.alive) this.#stats.alive -= 1;
  }

  #onHeard(id: string, now: MonotonicMs): void {
    const peer = this.#peers.get(id);
    if (peer?.onHeard(now) === true) this.#deadlines.set(id, peer.wakeAt);
  }

  #onDatagram(from: Endpoint, bytes: Uint8Array, now: MonotonicMs, effects: LivenessEffect[]): void {
    const source = addressKey(from);
    const candidates = this.#byAddress.get(source);
    for (const peer of candidates ?? []) {
      const verdict = peer.onEcho(bytes, now);
      if (verdict === undefined) continue;
      this.#stats.echoesReceived += 1;
      this.#tell(peer, verdict, effects);
      this.#deadlines.set(peer.id, peer.wakeAt);
      return;
    }
    if (isWholeEcho(bytes)) {
      this.#drop(candidates === undefined ? 'an echo from a stranger' : 'an echo to no question of ours', effects);
      return;
    }
    // A clusterfunk never asks from its endpoint, and a funknode asks with more: this is an echo that came too late.
    if (candidates !== undefined && bytes.length <= SHORT_ECHO_BYTES) {
      this.#drop('an echo to no question of ours', effects);
      return;
    }
    this.#answer({ from, bytes, source }, now, effects);
  }

  #answer(asked: Asked, now: MonotonicMs, effects: LivenessEffect[]): void {
    const echo = echoOf(asked.bytes);
    if (echo === undefined) {
      this.#drop(asked.bytes.length === 0 ? 'an empty packet' : 'a packet too long to echo', effects);
      return;
    }
    if (!this.#limiter.admit(asked.source, now)) {
      this.#drop('more questions from one source than are answered', effects);
      return;
    }
    effects.push({ kind: 'sendDatagram', to: asked.from, bytes: echo });
  }

  #ask(peer: WatchedPeer, now: MonotonicMs, effects: LivenessEffect[]): void {
    this.#sequence += 1;
    const bytes = makeQuestion(this.#secret, peer.id, this.#sequence);
    peer.ask(bytes, now);
    this.#stats.checksSent += 1;
    effects.push({ kind: 'sendDatagram', to: peer.endpoint, bytes });
  }

  #tell(peer: WatchedPeer, verdict: Verdict, effects: LivenessEffect[]): void {
    if (verdict === 'unchanged') return;
    this.#stats.alive += verdict === 'alive' ? 1 : -1;
    if (verdict === 'dead') this.#stats.deaths += 1;
    effects.push({ kind: 'notify', event: { kind: verdict, id: peer.id } });
  }

  #drop(reason: string, effects: LivenessEffect[]): void {
    this.#stats.dropped += 1;
    effects.push({ kind: 'notify', event: { kind: 'dropped', reason } });
  }

  /** Waking later than an interval after a deadline means that this process stood still; nobody dies of that. */
  #forgivePause(now: MonotonicMs): void {
    if (now - this.#deadlines.next() <= this.#config.intervalMs) return;
    for (const peer of this.#peers.values()) {
      peer.forgivePause(now);
      this.#deadlines.set(peer.id, peer.wakeAt);
    }
  }

  #enterAddress(peer: WatchedPeer): void {
    const key = addressKey(peer.endpoint);
    const sharing = this.#byAddress.get(key) ?? new Set();
    sharing.add(peer);
    this.#byAddress.set(key, sharing);
  }

  #leaveAddress(peer: WatchedPeer): void {
    const key = addressKey(peer.endpoint);
    const sharing = this.#byAddress.get(key);
    sharing?.delete(peer);
    if (sharing?.size === 0) this.#byAddress.delete(key);
  }
}

interface Asked {
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
  /** The key of `from`. */
  readonly source: string;
}

/** One text per address: a dual-stack socket shows IPv4 senders in their IPv6 form. */
function addressKey(endpoint: Endpoint): string {
  const host = endpoint.host.toLowerCase();
  return formatEndpoint({ host: host.startsWith('::ffff:') ? host.slice(7) : host, port: endpoint.port });
}
