/** One Serf machine on a workbench: fed by hand, with its gossip taken apart. */
import { SeededRandom } from '../../src/base/random.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { RequestId } from '../../src/model/ids.ts';
import { type SerfConfig, serfConfig } from '../../src/serf/config.ts';
import type { SerfEffect, SerfEvent, SerfInput, SerfOutcome } from '../../src/serf/messages.ts';
import { Serf } from '../../src/serf/serf.ts';
import { addressOfHost } from '../../src/wire/memberlist/address.ts';
import { encodeAlive, encodeDead, encodeUser } from '../../src/wire/memberlist/messages.ts';
import { decodePacket } from '../../src/wire/memberlist/packet.ts';
import { decodeSerfMessage, encodeSerfMessage, type SerfMessage } from '../../src/wire/serf/messages.ts';
import { encodeTags } from '../../src/wire/serf/tags.ts';

export interface Sent {
  readonly to: Endpoint;
  readonly message: SerfMessage;
}

const VERSIONS = Uint8Array.of(1, 5, 2, 2, 5, 5);

export class BenchNode {
  readonly serf: Serf;
  now = 1_000;
  readonly events: SerfEvent[] = [];
  readonly replies: Map<number, SerfOutcome> = new Map();
  readonly dialled: Endpoint[] = [];
  /** Serf messages that left, in order. */
  sent: Sent[] = [];

  constructor(config: Partial<Omit<SerfConfig, 'swim'>> = {}) {
    const swim = { name: 'me', advertise: { host: '10.0.0.1', port: 7946 } };
    this.serf = new Serf({ config: serfConfig({ ...config, swim }), random: new SeededRandom(1) });
    this.give({ kind: 'start', tags: new Map([['role', 'web']]) });
  }

  give(input: SerfInput): void {
    const effects: SerfEffect[] = [];
    this.serf.step(input, this.now, effects);
    this.#keep(effects);
  }

  ask(input: (id: RequestId) => SerfInput): number {
    const id = 100 + this.replies.size;
    this.give(input(id as RequestId));
    return id;
  }

  /** Lets time pass, waking the machine whenever it wants to be. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.serf.nextDeadline() <= until) {
      this.now = Math.max(this.now, this.serf.nextDeadline());
      const effects: SerfEffect[] = [];
      this.serf.tick(this.now, effects);
      this.#keep(effects);
    }
    this.now = until;
  }

  packet(bytes: Uint8Array, from: Endpoint = { host: '10.0.0.2', port: 7946 }): void {
    this.give({ kind: 'datagram', from, bytes });
  }

  /** Member number n is `n<n>` at 10.0.0.n. */
  arrive(n: number, incarnation = 1, tags: ReadonlyMap<string, string> = new Map()): void {
    const address = addressOfHost(`10.0.0.${n}`);
    const meta = encodeTags(tags);
    this.packet(
      encodeAlive({ kind: 'alive', incarnation, node: `n${n}`, address, port: 7946, meta, versions: VERSIONS }),
    );
  }

  die(n: number, how: 'dead' | 'left' = 'dead', incarnation = 1): void {
    const node = `n${n}`;
    this.packet(encodeDead({ kind: 'dead', incarnation, node, from: how === 'left' ? node : 'n99' }));
  }

  hear(message: SerfMessage, from?: Endpoint): void {
    this.packet(encodeUser(encodeSerfMessage(message)), from);
  }

  joinIntent(node: string, lamportTime: number): void {
    this.hear({ kind: 'joinIntent', node, lamportTime });
  }

  leaveIntent(node: string, lamportTime: number, prune = false): void {
    this.hear({ kind: 'leaveIntent', node, lamportTime, prune });
  }

  statusOf(name: string): string {
    return this.serf.member(name)?.status ?? 'unknown';
  }

  kinds(): string[] {
    return this.events.map((event) => ('member' in event ? `${event.kind} ${event.member.name}` : event.kind));
  }

  /** What was sent to all, once each, since it was last asked. Takes a second for gossip to come around. */
  gossiped(ms = 1_000): SerfMessage[] {
    this.sent = [];
    this.pass(ms);
    const seen = new Map(this.sent.map(({ message }) => [JSON.stringify(message), message]));
    return [...seen.values()];
  }

  #keep(effects: readonly SerfEffect[]): void {
    this.serf.check();
    for (const effect of effects) {
      if (effect.kind === 'notify') this.events.push(effect.event);
      if (effect.kind === 'reply') this.replies.set(effect.requestId, effect.outcome);
      if (effect.kind === 'openStream') this.dialled.push(effect.to);
      if (effect.kind !== 'sendDatagram') continue;
      for (const message of decodePacket(effect.bytes).messages) {
        if (message.kind !== 'user') continue;
        const decoded = decodeSerfMessage(message.bytes);
        if (decoded.kind !== 'undecodable') this.sent.push({ to: effect.to, message: decoded });
      }
    }
  }
}
