/**
 * The invented network: who reaches whom by which ports, how long it takes, what gets lost. Datagrams may be lost, doubled and
 * overtaken; what must arrive in order waits behind what was sent before it, and loss makes it late instead.
 */
import type { Channel } from '../../src/cluster/messages.ts';
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import type { Chance } from './chance.ts';
import type { NetworkOptions } from './options.ts';
import type { SimulatedProcess } from './process.ts';

/** Which ports a cut is about: gossip and liveness with mDNS, or the links between nodes. */
export type Ports = 'gossip' | 'peer';
export type PortName = Channel | 'streams' | 'peer';

const PORT_BITS: Readonly<Record<Ports, number>> = { gossip: 1, peer: 2 };
/** Linux waits about so long before it sends a lost segment again. */
const RETRANSMIT_MS = 200;
/** Old datagrams that may come again. */
const REPLAYED_MAX = 300;

export interface NetworkHost {
  readonly now: number;
  at(instant: number, act: () => void): void;
}

export class Network {
  readonly #host: NetworkHost;
  readonly #chance: Chance;
  readonly #cuts: Map<string, number> = new Map();
  readonly #listeners: Map<string, SimulatedProcess> = new Map();
  readonly #sent: {
    readonly from: SimulatedProcess;
    readonly channel: Channel;
    readonly to: Endpoint;
    readonly bytes: Uint8Array;
  }[] = [];
  options: NetworkOptions;
  datagrams = 0;
  datagramsLost = 0;

  constructor(host: NetworkHost, options: NetworkOptions, chance: Chance) {
    this.#host = host;
    this.options = options;
    this.#chance = chance;
  }

  listen(process: SimulatedProcess): void {
    for (const [name, endpoint] of process.endpoints)
      this.#listeners.set(`${name}/${formatEndpoint(endpoint)}`, process);
  }

  silence(process: SimulatedProcess): void {
    for (const [name, endpoint] of process.endpoints) {
      const key = `${name}/${formatEndpoint(endpoint)}`;
      if (this.#listeners.get(key) === process) this.#listeners.delete(key);
    }
  }

  listenerAt(port: PortName, endpoint: Endpoint): SimulatedProcess | undefined {
    return this.#listeners.get(`${port}/${formatEndpoint(endpoint)}`);
  }

  cut(from: number, to: number, ports: readonly Ports[]): void {
    const key = `${from}>${to}`;
    let bits = this.#cuts.get(key) ?? 0;
    for (const port of ports) bits |= PORT_BITS[port];
    this.#cuts.set(key, bits);
  }

  /** Lets both ways between the two through again. */
  mend(a: number, b: number): void {
    this.#cuts.delete(`${a}>${b}`);
    this.#cuts.delete(`${b}>${a}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  get isWhole(): boolean {
    return this.#cuts.size === 0;
  }

  isCut(from: number, to: number, ports: Ports): boolean {
    return ((this.#cuts.get(`${from}>${to}`) ?? 0) & PORT_BITS[ports]) !== 0;
  }

  /** One way, for something that is not lost. */
  delay(): number {
    const { delayMinMs, delayMeanMs, lateness } = this.options;
    const late = this.#chance.isHit(lateness) ? this.#chance.between(0, 1_500) : 0;
    return delayMinMs + this.#chance.exponential(delayMeanMs) + late;
  }

  /** One way for a segment of a stream: what is lost is sent again. */
  segmentDelay(): number {
    let delay = this.delay();
    for (let tries = 0; tries < 5 && this.#chance.isHit(this.options.loss); tries++)
      delay += tries === 0 && this.#chance.isHit(0.6) ? this.#chance.between(1, 20) : RETRANSMIT_MS << tries;
    return delay;
  }

  isLost(): boolean {
    return this.#chance.isHit(this.options.loss);
  }

  send(from: SimulatedProcess, channel: Channel, to: Endpoint, bytes: Uint8Array): void {
    this.datagrams += 1;
    if (this.isLost()) {
      this.datagramsLost += 1;
      return;
    }
    const copies = this.#chance.isHit(this.options.duplication) ? 2 : 1;
    const sent = bytes.slice();
    for (let i = 0; i < copies; i++) this.#carry(from, channel, to, sent);
    if (this.options.replay === 0) return;
    const old = this.#chance.isHit(this.options.replay) ? this.#chance.pick(this.#sent) : undefined;
    if (old !== undefined) this.#carry(old.from, old.channel, old.to, old.bytes);
    if (this.#sent.length < REPLAYED_MAX) this.#sent.push({ from, channel, to, bytes: sent });
    else this.#sent[this.#chance.below(REPLAYED_MAX)] = { from, channel, to, bytes: sent };
  }

  #carry(from: SimulatedProcess, channel: Channel, to: Endpoint, bytes: Uint8Array): void {
    const source = from.endpoints.get(channel) as Endpoint;
    this.#host.at(this.#host.now + this.delay(), () => {
      const target = this.listenerAt(channel, to);
      if (target === undefined || this.isCut(from.machine, target.machine, 'gossip')) return;
      target.receive({ kind: 'datagram', channel, from: source, bytes: bytes.slice() });
    });
  }
}
