/**
 * The long-lived links between nodes, as runtime/peer-links.ts makes them: one per direction and pair, ordered, given up after half a
 * second without an echo, made anew at most once a second. What a link still carried when it broke is lost, or comes very late.
 */
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import type { MemberId } from '../../src/model/ids.ts';
import type { Chance } from './chance.ts';
import type { Network, NetworkHost } from './network.ts';
import { OrderedWay } from './ordered-way.ts';
import type { SimulatedProcess } from './process.ts';

const SILENT_MS = 500;
const REDIAL_MS = 1_000;
const SWEEP_MS = 250;
const ECHO_MS = 100;
/** A stalled echo tries again so often. */
const RETRY_MS = 200;
/** A kernel gives up on what it could not deliver after this. */
const GHOST_MS = 8_000;
/** Of the links that were given up, this part had frames in a kernel that still delivers them. */
const GHOSTS = 0.2;

interface Link {
  readonly peer: MemberId;
  readonly address: string;
  readonly endpoint: Endpoint;
  /** The process at the other end, once connected. */
  remote: SimulatedProcess | undefined;
  readonly way: OrderedWay;
  isBroken: boolean;
  hasGhosts: boolean;
  unansweredSince: number | undefined;
  isWatched: boolean;
  echoedAt: number;
  isEchoOwed: boolean;
}

export class SimulatedPeerLinks {
  readonly #process: SimulatedProcess;
  readonly #network: Network;
  readonly #host: NetworkHost;
  readonly #chance: Chance;
  readonly #links: Map<MemberId, Link> = new Map();
  readonly #dialled: Map<MemberId, { readonly address: string; readonly at: number }> = new Map();

  constructor(process: SimulatedProcess, network: Network, host: NetworkHost, chance: Chance) {
    this.#process = process;
    this.#network = network;
    this.#host = host;
    this.#chance = chance;
  }

  send(to: MemberId, endpoint: Endpoint, bytes: Uint8Array): void {
    const link = this.#linkTo(to, endpoint);
    if (link === undefined) return;
    link.unansweredSince ??= this.#host.now;
    this.#watch(link);
    const frame = bytes.slice();
    link.way.carry(this.#network.segmentDelay(), () => this.#deliver(link, frame));
  }

  /** The process at the other end has ended and its kernel says so. */
  onRemoteGone(remote: SimulatedProcess): void {
    for (const link of this.#links.values()) {
      if (link.remote !== remote || link.isBroken) continue;
      this.#host.at(this.#host.now + this.#network.delay(), () => {
        if (!this.#network.isCut(remote.machine, this.#process.machine, 'peer')) this.#break(link);
      });
    }
  }

  #linkTo(to: MemberId, endpoint: Endpoint): Link | undefined {
    const address = formatEndpoint(endpoint);
    const held = this.#links.get(to);
    if (held !== undefined && held.address === address && !held.isBroken) return held;
    if (held !== undefined) held.isBroken = true;
    this.#links.delete(to);
    const dialled = this.#dialled.get(to);
    if (dialled?.address === address && this.#host.now - dialled.at < REDIAL_MS) return undefined;
    this.#dialled.set(to, { address, at: this.#host.now });
    // A handshake of TCP and one of HTTP/2 come before the first frame.
    const readyAt = this.#host.now + 4 * this.#network.delay() + this.#chance.between(0.5, 8);
    const ends = { isCut: () => this.#isCut(link), onStuck: () => {}, patienceMs: GHOST_MS };
    const link: Link = {
      peer: to,
      address,
      endpoint,
      remote: undefined,
      way: new OrderedWay(this.#host, ends, readyAt),
      isBroken: false,
      hasGhosts: this.#chance.isHit(GHOSTS),
      unansweredSince: undefined,
      isWatched: false,
      echoedAt: Number.NEGATIVE_INFINITY,
      isEchoOwed: false,
    };
    this.#links.set(to, link);
    return link;
  }

  #isCut(link: Link): boolean {
    const target = link.remote ?? this.#network.listenerAt('peer', link.endpoint);
    return target !== undefined && this.#network.isCut(this.#process.machine, target.machine, 'peer');
  }

  #deliver(link: Link, frame: Uint8Array): void {
    if (link.isBroken && !(link.hasGhosts && link.remote !== undefined)) return;
    const target = link.remote ?? this.#network.listenerAt('peer', link.endpoint);
    if (target === undefined || !target.isUp) {
      const isSilent = target?.isPoweredOff === true || !this.#process.isUp;
      if (!isSilent) this.#host.at(this.#host.now + this.#network.delay(), () => this.#break(link));
      return;
    }
    link.remote = target;
    target.receive({ kind: 'peerFrame', bytes: frame }, () => this.#onHeard(link, target));
  }

  /** The receiver's loop has the frame and says so, at most every 100 ms. */
  #onHeard(link: Link, target: SimulatedProcess): void {
    if (link.isEchoOwed) return;
    const since = this.#host.now - link.echoedAt;
    if (since >= ECHO_MS) {
      this.#echo(link, target);
      return;
    }
    link.isEchoOwed = true;
    this.#host.at(this.#host.now + this.#chance.between(ECHO_MS, SWEEP_MS), () => {
      link.isEchoOwed = false;
      if (target.isUp) this.#echo(link, target);
    });
  }

  #echo(link: Link, target: SimulatedProcess): void {
    link.echoedAt = this.#host.now;
    const arrive = (tries: number): void => {
      if (link.isBroken || !this.#process.isUp) return;
      if (this.#network.isCut(target.machine, this.#process.machine, 'peer')) {
        if (tries < 5) this.#host.at(this.#host.now + RETRY_MS, () => arrive(tries + 1));
        return;
      }
      this.#process.whenRunning(() => {
        link.unansweredSince = undefined;
      });
    };
    this.#host.at(this.#host.now + this.#network.segmentDelay(), () => arrive(0));
  }

  /** The sweep that finds a link silent. */
  #watch(link: Link): void {
    if (link.isWatched) return;
    link.isWatched = true;
    this.#host.at(this.#host.now + SILENT_MS + this.#chance.between(0, SWEEP_MS), () => {
      link.isWatched = false;
      if (!this.#process.isUp || link.isBroken || link.unansweredSince === undefined) return;
      // After a pause timers come before sockets: the sweep does not see what waits there.
      const sweep = (): void => {
        if (link.isBroken || link.unansweredSince === undefined) return;
        if (this.#host.now - link.unansweredSince > SILENT_MS) this.#break(link);
        else this.#watch(link);
      };
      this.#process.onTimer(sweep);
    });
  }

  #break(link: Link): void {
    if (link.isBroken || !this.#process.isUp) return;
    link.isBroken = true;
    this.#process.receive({ kind: 'peerUnreachable', peer: link.peer });
  }
}
