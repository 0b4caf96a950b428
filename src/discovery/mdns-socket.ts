/** The one door to the multicast-dns package: one interface, packets checked before anyone sees them. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import makeMdns from 'multicast-dns';
import { FunkError } from '../base/errors.ts';
import type { Question, Reply } from './announcement.ts';
import { type DnsRecord, labelOf, SERVICE_TYPE } from './records.ts';

const MDNS_PORT = 5353;
const GROUP_V4 = '224.0.0.251';
const GROUP_V6 = 'ff02::fb';
/** More than an honest packet of 9,000 bytes holds. */
const RECORDS_MAX = 512;
const QUESTIONS_MAX = 64;
const NAME_BYTES_MAX = 255;
const TEXT_LINES_MAX = 32;
/** The opcode and the response code in a packet's flags. */
const NOT_PLAIN = 0x780f;

/** mDNS cannot be had on this interface: the port is held by a program that does not share it, or the system refuses. */
export class DiscoveryError extends FunkError {
  readonly code = 'FUNK_DISCOVERY';
}

export interface MdnsInterface {
  readonly address: string;
  /** The kernel's name; needed for IPv6 only. */
  readonly name: string | undefined;
}

export interface MdnsListener {
  onQuery(questions: readonly Question[], known: readonly DnsRecord[], from: RemoteInfo, id: number): void;
  onResponse(records: readonly DnsRecord[]): void;
  onWarning(text: string): void;
}

/** Packets that were thrown away, by reason. */
export interface MdnsDrops {
  garbled: number;
  offLink: number;
  wrongPort: number;
  tooLarge: number;
}

export class MdnsSocket implements AsyncDisposable {
  readonly drops: MdnsDrops = { garbled: 0, offLink: 0, wrongPort: 0, tooLarge: 0 };
  readonly #mdns: makeMdns.MulticastDNS;
  readonly #listener: MdnsListener;
  readonly #link: BlockList;
  /** Where to send; the package knows it by itself as long as its own port is that of mDNS. */
  readonly #group: { readonly port: number; readonly address: string } | undefined;
  /** Instance labels with dots in the packet that is being written. */
  readonly #dotted: Set<string> = new Set();
  #isClosed = false;

  private constructor(on: MdnsInterface, listener: MdnsListener, side: 'shared' | 'own') {
    const isV6 = isIPv6(on.address);
    this.#group = side === 'shared' ? undefined : { port: MDNS_PORT, address: isV6 ? GROUP_V6 : GROUP_V4 };
    this.#listener = listener;
    this.#link = linkOf(on);
    this.#mdns = makeMdns({
      socket: socketWithWholeLabels(isV6, this.#dotted),
      // `interface` alone would bind the socket to that address, and Linux then delivers no multicast (multicast-dns #53).
      ...(isV6
        ? { type: 'udp6', ip: GROUP_V6, interface: `::%${on.name ?? ''}`, bind: '::' }
        : { interface: on.address, bind: '0.0.0.0' }),
      // The package binds no port 0: the system does, with the first packet.
      ...(side === 'own' ? { port: 0 } : {}),
    });
    this.#mdns.on('query', (packet, from) => this.#onQuery(packet, from));
    this.#mdns.on('response', (packet, from) => this.#onResponse(packet, from));
    this.#mdns.on('warning', (error: Error & { code?: string }) => this.#onWarning(error));
  }

  /**
   * Resolves when packets flow. Rejects with {@link DiscoveryError} when the port cannot be shared. With a port of its `own`, it asks
   * as a plain resolver and hears only what is sent to it alone (RFC 6762 §5.1): the way to ask responders that know no other.
   */
  static async open(on: MdnsInterface, listener: MdnsListener, side: 'shared' | 'own' = 'shared'): Promise<MdnsSocket> {
    const opened = new MdnsSocket(on, listener, side);
    // The package may report one failure twice, so this listener stays.
    let fail = (error: Error): void => opened.#listener.onWarning(`mDNS on ${on.address}: ${error.message}`);
    const tell = fail;
    opened.#mdns.on('error', (error) => fail(error));
    try {
      await new Promise<void>((resolve, reject) => {
        fail = reject;
        opened.#mdns.once('ready', resolve);
      });
    } catch (error) {
      await opened.close();
      throw new DiscoveryError(`mDNS on ${on.address}: ${(error as Error).message}`, { cause: error });
    }
    fail = tell;
    return opened;
  }

  query(questions: readonly Question[], known: readonly DnsRecord[]): void {
    if (this.#isClosed) return;
    this.#noteLabels(questions, known);
    const packet = { questions, answers: known.map(toPacket) };
    const query = packet as unknown as makeMdns.QueryOutgoingPacket;
    if (this.#group === undefined) this.#mdns.query(query);
    else this.#mdns.query(query, this.#group as RemoteInfo);
  }

  /** To everyone on the link. The promise settles when the packet has left, or could not. */
  respond(reply: Reply): Promise<void> {
    this.#noteLabels([], [...reply.answers, ...reply.additionals]);
    const packet = { answers: reply.answers.map(toPacket), additionals: reply.additionals.map(toPacket) };
    return new Promise((resolve) => {
      this.#mdns.respond(packet as unknown as makeMdns.ResponseOutgoingPacket, () => resolve());
    });
  }

  /** To a plain resolver that asked from a port of its own: to it alone, with its id and its questions. */
  respondTo(from: RemoteInfo, id: number, questions: readonly Question[], reply: Reply): void {
    this.#noteLabels(questions, [...reply.answers, ...reply.additionals]);
    const [answers, additionals] = [reply.answers.map(toPacket), reply.additionals.map(toPacket)];
    const packet = { id, questions, answers, additionals } as unknown as makeMdns.ResponseOutgoingPacket;
    this.#mdns.respond(packet, from);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return new Promise((resolve) => this.#mdns.destroy(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #noteLabels(questions: readonly Question[], records: readonly DnsRecord[]): void {
    this.#dotted.clear();
    const targets = records.flatMap((record) => (record.type === 'PTR' ? [record.data] : []));
    for (const name of [...questions.map((asked) => asked.name), ...records.map((held) => held.name), ...targets]) {
      const label = labelOf(name);
      if (label?.includes('.') === true) this.#dotted.add(label);
    }
  }

  #onQuery(packet: makeMdns.QueryPacket, from: RemoteInfo): void {
    if (!this.#isFromLink(from)) return;
    const { questions = [], answers = [] } = packet;
    // RFC 6762 §18.3, §18.11: with another opcode or an error code it is no plain question.
    if ((Number((packet as { flags?: number }).flags) & NOT_PLAIN) !== 0) {
      this.drops.garbled++;
      return;
    }
    if (questions.length > QUESTIONS_MAX || answers.length > RECORDS_MAX) {
      this.drops.tooLarge++;
      return;
    }
    const asked = questions.map(({ name, type }) => ({ name: String(name), type: String(type) }));
    this.#listener.onQuery(asked, answers.flatMap(fromPacket), from, Number((packet as { id?: number }).id));
  }

  #onResponse(packet: makeMdns.ResponsePacket, from: RemoteInfo): void {
    if (!this.#isFromLink(from)) return;
    // RFC 6762 §6: an answer from another port was not sent by a responder.
    if (from.port !== MDNS_PORT) {
      this.drops.wrongPort++;
      return;
    }
    const { answers = [], additionals = [] } = packet;
    if (answers.length + additionals.length > RECORDS_MAX) {
      this.drops.tooLarge++;
      return;
    }
    this.#listener.onResponse([...answers, ...additionals].flatMap(fromPacket));
  }

  /**
   * Linux hands a socket the multicast of every interface on which any program has joined the group, and anybody can send us a
   * datagram: what does not come from our own link is nobody's answer (RFC 6762 §11).
   */
  #isFromLink(from: RemoteInfo): boolean {
    const address = from.address.split('%')[0] as string;
    if (!this.#isClosed && this.#link.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) return true;
    this.drops.offLink++;
    return false;
  }

  #onWarning(error: Error & { code?: string }): void {
    if (this.#isClosed) return;
    if (error.code === undefined) this.drops.garbled++;
    else this.#listener.onWarning(`mDNS: ${error.message}`);
  }
}

/** The addresses on the link of an interface. */
export function linkOf(on: MdnsInterface): BlockList {
  const link = new BlockList();
  const entries = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const entry = entries.find(({ address }) => address === on.address);
  const isV6 = isIPv6(on.address);
  if (isV6) link.addSubnet('fe80::', 10, 'ipv6');
  if (!isV6 && on.address.startsWith('127.')) link.addSubnet('127.0.0.0', 8);
  else if (entry?.cidr) link.addSubnet(entry.address, Number(entry.cidr.split('/')[1]), isV6 ? 'ipv6' : 'ipv4');
  else link.addAddress(on.address, isV6 ? 'ipv6' : 'ipv4');
  return link;
}

/** A socket that mends, on their way out, the names that the package cannot write. */
function socketWithWholeLabels(isV6: boolean, dotted: ReadonlySet<string>): Socket {
  const socket = createSocket({ type: isV6 ? 'udp6' : 'udp4', reuseAddr: true });
  const send = socket.send.bind(socket) as (...parts: unknown[]) => void;
  socket.send = ((packet: Uint8Array, ...rest: unknown[]): void => {
    for (const label of dotted) joinLabels(packet, label);
    send(packet, ...rest);
  }) as never;
  return socket;
}

/**
 * The package writes every dot of a name as the border of two labels, but an instance is one label whatever dots it holds.
 * Joining labels replaces a length by a dot, so the packet keeps its size; names stand in it uncompressed. In place.
 */
export function joinLabels(packet: Uint8Array, label: string): void {
  const [service] = SERVICE_TYPE.split('.') as [string];
  const parted = Buffer.concat([...label.split('.'), service].map(lengthAndText));
  const joined = Buffer.concat([label, service].map(lengthAndText));
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
  for (let at = bytes.indexOf(parted); at !== -1; at = bytes.indexOf(parted, at + parted.length))
    joined.copy(bytes, at);
}

function lengthAndText(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function toPacket(record: DnsRecord): object {
  return { class: 'IN', ...record, data: record.type === 'TXT' ? [...record.data] : record.data };
}

/** A record as the package read it, when it is one of the few that concern us and holds what its type says. */
function fromPacket(record: unknown): DnsRecord[] {
  const { type, name, ttl, data, flush, class: family } = record as Record<string, unknown>;
  if (typeof name !== 'string' || name.length > NAME_BYTES_MAX || !isTtl(ttl) || family !== 'IN') return [];
  const shared = { name, ttl, flush: flush === true };
  if (type === 'PTR')
    return typeof data === 'string' && data.length <= NAME_BYTES_MAX ? [{ type, name, ttl, data }] : [];
  if (type === 'A' || type === 'AAAA') {
    return typeof data === 'string' && isIP(data) === (type === 'A' ? 4 : 6) ? [{ type, ...shared, data }] : [];
  }
  if (type === 'TXT') {
    const lines = (Array.isArray(data) ? data : [data]).slice(0, TEXT_LINES_MAX);
    return [{ type, ...shared, data: lines.map((line: unknown) => String(line)) }];
  }
  if (type !== 'SRV' || typeof data !== 'object' || data === null) return [];
  const { target, port, priority, weight } = data as Record<string, unknown>;
  const isWhole = typeof target === 'string' && target !== '' && typeof port === 'number' && port > 0;
  if (!isWhole) return [];
  return [{ type, ...shared, data: { target, port, priority: Number(priority), weight: Number(weight) } }];
}

function isTtl(ttl: unknown): ttl is number {
  return typeof ttl === 'number' && Number.isInteger(ttl) && ttl >= 0;
}
