/** One Swim machine under a microscope: drive it by inputs, read its effects as messages. */
import { concatBytes } from '../../src/base/bytes.ts';
import { SeededRandom } from '../../src/base/random.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { RequestId, StreamId } from '../../src/model/ids.ts';
import { swimConfig } from '../../src/swim/config.ts';
import type { SwimConfig } from '../../src/swim/config.ts';
import type { SwimClaim, SwimDelegate, SwimEffect, SwimEvent, SwimInput, SwimMember } from '../../src/swim/messages.ts';
import { Swim } from '../../src/swim/swim.ts';
import { encodeDatagramMessage } from '../../src/wire/memberlist/messages.ts';
import type { DatagramMessage } from '../../src/wire/memberlist/messages.ts';
import { decodePacket, makeCompound } from '../../src/wire/memberlist/packet.ts';
import { StreamDecoder, encodePushPull } from '../../src/wire/memberlist/stream.ts';
import type { NodeRecord, PushPull, StreamMessage } from '../../src/wire/memberlist/stream.ts';

export const VERSIONS: Uint8Array = Uint8Array.of(1, 5, 2, 2, 5, 5);
const PORT = 7946;

/** Records what it hears; says what the test put into its fields. */
export class TestDelegate implements SwimDelegate {
  readonly events: SwimEvent[] = [];
  /** To requests on streams, by their text. */
  readonly answers: Map<string, Uint8Array> = new Map();
  readonly userMessages: string[] = [];
  readonly merged: string[] = [];
  readonly payloads: { node: string; bytes: number; roundTripMs: number | undefined }[] = [];
  state: Uint8Array = new Uint8Array(0);
  payload: Uint8Array = new Uint8Array(0);
  broadcasts: Uint8Array[] = [];
  refusesMerge: string | undefined;
  refusesAlive: (claim: SwimClaim) => string | undefined = () => undefined;
  reclaims: (held: SwimMember, claim: SwimClaim) => boolean = () => false;
  replacesSilent = false;

  onEvent(event: SwimEvent): void {
    this.events.push(event);
  }

  onUserMessage(bytes: Uint8Array): void {
    this.userMessages.push(new TextDecoder().decode(bytes));
  }

  answerRequest(bytes: Uint8Array): Uint8Array | undefined {
    return this.answers.get(new TextDecoder().decode(bytes));
  }

  localState(): Uint8Array {
    return this.state;
  }

  mergeRemoteState(bytes: Uint8Array, join: boolean): void {
    this.merged.push(`${join ? 'join' : 'sync'}:${new TextDecoder().decode(bytes)}`);
  }

  hasBroadcasts(): boolean {
    return this.broadcasts.length > 0;
  }

  takeBroadcasts(overheadBytes: number, bytesMax: number): readonly Uint8Array[] {
    const taken: Uint8Array[] = [];
    let left = bytesMax;
    for (const bytes of this.broadcasts) {
      if (bytes.length + overheadBytes > left) break;
      left -= bytes.length + overheadBytes;
      taken.push(bytes);
    }
    this.broadcasts = this.broadcasts.slice(taken.length);
    return taken;
  }

  ackPayload(): Uint8Array {
    return this.payload;
  }

  onAckPayload(node: string, payload: Uint8Array, roundTripMs: number | undefined): void {
    this.payloads.push({ node, bytes: payload.length, roundTripMs });
  }

  refuseMerge(): string | undefined {
    return this.refusesMerge;
  }

  refuseAlive(claim: SwimClaim): string | undefined {
    return this.refusesAlive(claim);
  }

  mayReclaim(held: SwimMember, claim: SwimClaim): boolean {
    return this.reclaims(held, claim);
  }

  mayReplaceSilent(): boolean {
    return this.replacesSilent;
  }
}

/** The address of node `n`: 10.0.0.n. */
export function endpoint(n: number, port: number = PORT): Endpoint {
  return { host: `10.0.0.${n}`, port };
}

export interface Told {
  readonly name?: string;
  readonly address?: Uint8Array;
  readonly port?: number;
  readonly meta?: Uint8Array;
  readonly versions?: Uint8Array;
}

/** An alive message of node `n`, named `n<n>` unless told otherwise. */
export function alive(n: number, incarnation: number, told: Told = {}): Extract<DatagramMessage, { kind: 'alive' }> {
  return {
    kind: 'alive',
    incarnation,
    node: told.name ?? `n${n}`,
    address: told.address ?? Uint8Array.of(10, 0, 0, n),
    port: told.port ?? PORT,
    meta: told.meta ?? Uint8Array.of(n),
    versions: told.versions ?? VERSIONS,
  };
}

export function suspect(n: number, incarnation: number, from: string): Extract<DatagramMessage, { kind: 'suspect' }> {
  return { kind: 'suspect', node: `n${n}`, incarnation, from };
}

export function dead(n: number, incarnation: number, from: string): Extract<DatagramMessage, { kind: 'dead' }> {
  return { kind: 'dead', node: `n${n}`, incarnation, from };
}

export function record(n: number, incarnation: number, state: NodeRecord['state'], told: Told = {}): NodeRecord {
  const { node: name, address, port, meta, versions } = alive(n, incarnation, told);
  return { name, address, port, meta, versions, incarnation, state };
}

export interface Sent {
  readonly to: string;
  readonly messages: readonly DatagramMessage[];
}

export class Bench {
  readonly delegate: TestDelegate = new TestDelegate();
  readonly swim: Swim;
  readonly config: SwimConfig;
  now = 1_000;
  effects: SwimEffect[] = [];
  /** Those counted by `forgetOld`. */
  replies = 0;
  #nextStream = 1;
  #nextRequest = 1;

  /** Node n1 at 10.0.0.1, started with metadata 01. */
  constructor(settings: Partial<SwimConfig> = {}) {
    this.config = swimConfig({ name: 'n1', advertise: endpoint(1), compression: false, ...settings });
    this.swim = new Swim({ config: this.config, random: new SeededRandom(7), delegate: this.delegate });
    this.step({ kind: 'start', meta: Uint8Array.of(1) });
  }

  step(input: SwimInput): void {
    this.swim.step(input, this.now, this.effects);
    this.swim.check();
  }

  /** Lets time pass, deadline by deadline. */
  advance(byMs: number): void {
    const end = this.now + byMs;
    while (this.swim.nextDeadline() <= end) {
      this.now = Math.max(this.now, this.swim.nextDeadline());
      this.swim.tick(this.now, this.effects);
      this.swim.check();
    }
    this.now = end;
  }

  /** The process stands still: no turn is taken meanwhile. */
  stall(byMs: number): void {
    this.now += byMs;
  }

  tick(): void {
    this.swim.tick(this.now, this.effects);
    this.swim.check();
  }

  hear(...messages: DatagramMessage[]): void {
    const parts = messages.map(encodeDatagramMessage);
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : makeCompound(parts);
    this.step({ kind: 'datagram', from: endpoint(99), bytes });
  }

  /** A push/pull from a peer that dialled us; answers with what we sent back. */
  exchange(
    nodes: readonly NodeRecord[],
    options: { join?: boolean; state?: Uint8Array } = {},
  ): StreamMessage | undefined {
    const userState = options.state ?? new Uint8Array(0);
    return this.request(encodePushPull({ join: options.join ?? false, nodes, userState }));
  }

  request(bytes: Uint8Array): StreamMessage | undefined {
    const stream = this.accept();
    this.step({ kind: 'streamBytes', stream, bytes });
    return this.answerOn(stream);
  }

  accept(): StreamId {
    const stream = this.#nextStream as StreamId;
    this.#nextStream += 2;
    this.step({ kind: 'streamAccepted', stream, from: endpoint(98, 40_000) });
    return stream;
  }

  requestId(): RequestId {
    this.#nextRequest += 1;
    return this.#nextRequest as RequestId;
  }

  /** What was sent on a stream, read as one message. */
  answerOn(stream: StreamId): StreamMessage | undefined {
    const bytes = this.effects.flatMap((effect) =>
      effect.kind === 'sendStream' && effect.stream === stream ? [effect.bytes] : [],
    );
    const progress = new StreamDecoder().push(concatBytes(bytes));
    return progress.kind === 'message' ? progress.message : undefined;
  }

  isClosed(stream: StreamId): boolean {
    return this.effects.some((effect) => effect.kind === 'closeStream' && effect.stream === stream);
  }

  /** Streams we asked for since the last look, with their peers. */
  dialled(): { stream: StreamId; to: string }[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'openStream' ? [{ stream: effect.stream, to: effect.to.host }] : [],
    );
  }

  /** Datagrams since the last look. */
  sent(): Sent[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'sendDatagram' ? [{ to: effect.to.host, messages: decodePacket(effect.bytes).messages }] : [],
    );
  }

  /** Every message of a kind sent since the last look. */
  sentOf<K extends DatagramMessage['kind']>(kind: K): { to: string; message: Extract<DatagramMessage, { kind: K }> }[] {
    return this.sent().flatMap(({ to, messages }) =>
      messages.flatMap((message) =>
        message.kind === kind ? [{ to, message: message as Extract<DatagramMessage, { kind: K }> }] : [],
      ),
    );
  }

  forget(): void {
    this.effects = [];
    this.delegate.events.length = 0;
  }

  /** Forgets effects too, but keeps count of the replies. */
  forgetOld(): void {
    this.replies += this.effects.filter((effect) => effect.kind === 'reply').length;
    this.forget();
  }

  eventKinds(): string[] {
    return this.delegate.events.map((event) => ('member' in event ? `${event.kind} ${event.member.name}` : event.kind));
  }

  stateOf(n: number): string | undefined {
    const member = this.swim.member(`n${n}`);
    return member === undefined ? undefined : `${member.state}@${member.incarnation}`;
  }

  /** The newest gossip about `node` in the queue, as the next gossip tick would send it. */
  gossipAbout(node: string): DatagramMessage | undefined {
    this.advance(this.config.gossipIntervalMs);
    const all = this.sent().flatMap(({ messages }) => messages);
    return all.findLast((message) => 'node' in message && message.node === node && !('sequence' in message));
  }

  pushPullOf(message: StreamMessage | undefined): PushPull {
    if (message?.kind !== 'pushPull') throw new Error(`not a push/pull: ${message?.kind ?? 'nothing'}`);
    return message;
  }

  /** n1 with members n2.. alive, quiet again. */
  withMembers(count: number, told: Told = {}): this {
    for (let n = 2; n <= count; n++) this.hear(alive(n, 1, told));
    this.forget();
    return this;
  }
}
