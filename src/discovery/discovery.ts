/**
 * Finds the nodes of a cluster by mDNS and lets them find us: announces our endpoints, asks for others for as long as it runs, and
 * takes everything back when it stops. One interface, many nodes of one host.
 */
import type { RemoteInfo } from 'node:dgram';
import type { Random } from '../base/random.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Discovered } from '../runtime/node-handle.ts';
import { type AnnouncedEndpoints, Announcement, legacyReply, type Question } from './announcement.ts';
import { type MdnsInterface, MdnsSocket } from './mdns-socket.ts';
import { type DnsRecord, ownerOf, SERVICE_TYPE, type ServiceKind } from './records.ts';
import { RateLimit } from './rate-limit.ts';
import { Schedule } from './schedule.ts';
import { type FoundService, ServiceTable, type TableChanges } from './service-table.ts';

export interface FoundNode {
  readonly kind: ServiceKind;
  readonly nodeId: string;
  readonly endpoint: Endpoint;
}

export interface DiscoveryOptions {
  readonly interface: MdnsInterface;
  readonly clusterName: string;
  readonly nodeId: string;
  readonly random: Random;
  /** A node of our cluster's name was found, or is elsewhere now. Never ourselves. */
  readonly onFound?: (node: FoundNode) => void;
  /** It said goodbye, or its records ran out. */
  readonly onGone?: (node: FoundNode) => void;
  /** The whole picture, whenever it changes, and when the search has run long enough. What `NodeHandle.discovered` takes. */
  readonly onDiscovered?: (discovered: Discovered) => void;
  /** Something an operator should know, once per text. */
  readonly onWarning?: (text: string) => void;
}

export interface DiscoveryStats {
  readonly found: number;
  readonly dropped: Readonly<Record<string, number>>;
}

const MDNS_PORT = 5353;
/** What one packet holds of known answers; the rest is told again, which does no harm. */
const KNOWN_ANSWERS_MAX = 10;
/** Instances asked for one by one in a query, for those whose announcer left something out. */
const UNRESOLVED_MAX = 8;
/** Packets looked at in a second; more is not a link, it is an attack. */
const PACKETS_PER_SECOND_MAX = 500;
const LEGACY_REPLIES_PER_SECOND_MAX = 20;
const WARNINGS_MAX = 20;

export class Discovery implements AsyncDisposable {
  readonly #options: DiscoveryOptions;
  readonly #table: ServiceTable;
  readonly #nodes: Map<string, FoundNode> = new Map();
  readonly #warned: Set<string> = new Set();
  readonly #packets: RateLimit = new RateLimit(PACKETS_PER_SECOND_MAX);
  readonly #legacy: RateLimit = new RateLimit(LEGACY_REPLIES_PER_SECOND_MAX);
  /** Questions of others that wait for their moment. */
  #asked: { readonly questions: readonly Question[]; readonly known: readonly DnsRecord[] }[] = [];
  #announcement: Announcement;
  #schedule: Schedule | undefined;
  #socket: MdnsSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #searched = false;
  #stopping: Promise<void> | undefined;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#announcement = new Announcement(options, {});
    const onLoopback = options.interface.address.startsWith('127.') || options.interface.address === '::1';
    // A loopback address that came over a cable names the listener's machine, not the speaker's.
    this.#table = new ServiceTable((address) => onLoopback || !/^127\.|^::1$/.test(address));
  }

  /** Begins to ask and to answer. Rejects with DiscoveryError when mDNS cannot be had; then nothing runs. */
  async start(): Promise<void> {
    this.#socket = await MdnsSocket.open(this.#options.interface, {
      onQuery: (questions, known, from, id) => this.#onQuery(questions, known, from, id),
      onResponse: (records) => this.#onResponse(records),
      onWarning: (text) => this.#warn(text),
    });
    this.#schedule = new Schedule(this.#options.random, performance.now());
    if (!this.#announcement.isEmpty) this.#schedule.announce(performance.now());
    this.#turn();
  }

  /** Publishes these endpoints instead of those before. May be called before `start`, and as often as ports change. */
  announce(endpoints: AnnouncedEndpoints): void {
    const before = this.#announcement;
    this.#announcement = new Announcement(this.#options, endpoints);
    if (this.#schedule === undefined || this.#stopping !== undefined) return;
    const goodbye = before.goodbyeBefore(this.#announcement);
    if (goodbye.answers.length > 0) void this.#socket?.respond(goodbye);
    this.#schedule.announce(performance.now());
    this.#turn();
  }

  /** The nodes of our cluster's name that the link knows, without ourselves. */
  nodes(): FoundNode[] {
    return [...this.#nodes.values()];
  }

  stats(): DiscoveryStats {
    const refused = { tableFull: this.#table.refused, tooMany: this.#packets.refused };
    return { found: this.#nodes.size, dropped: { ...this.#socket?.drops, ...refused } };
  }

  /** Says goodbye and closes the socket. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket === undefined) return;
    if (!this.#announcement.isEmpty) await socket.respond(this.#announcement.goodbye());
    await socket.close();
  }

  #turn(): void {
    if (this.#schedule === undefined || this.#stopping !== undefined) return;
    const now = performance.now();
    this.#apply(this.#table.expire(now));
    if (this.#schedule.takeAnnouncement(now) && !this.#announcement.isEmpty) {
      void this.#socket?.respond(this.#announcement.everything());
    }
    if (this.#schedule.takeAnswer(now)) this.#giveAnswers();
    if (this.#schedule.takeQuery(now)) this.#ask(now);
    // What has come in while timers were late is read first: timers, then sockets, then immediates, and once around again.
    if (this.#schedule.takeSearched(now)) setImmediate(() => setImmediate(() => this.#declareSearched()));
    this.#sleep();
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    const next = Math.min(this.#schedule?.next() ?? Number.POSITIVE_INFINITY, this.#table.nextExpiry());
    const delay = Math.min(Math.max(next - performance.now(), 1), 60_000);
    this.#timer = setTimeout(() => this.#turn(), delay);
  }

  #ask(now: number): void {
    const known = this.#table.knownPointers(now).slice(0, KNOWN_ANSWERS_MAX);
    const details = this.#table.unresolved().slice(0, UNRESOLVED_MAX);
    const questions = details.flatMap((label) => [{ name: `${label}.${SERVICE_TYPE}`, type: 'SRV' }]);
    this.#socket?.query([{ name: SERVICE_TYPE, type: 'PTR' }, ...questions], known);
  }

  #onQuery(questions: readonly Question[], known: readonly DnsRecord[], from: RemoteInfo, id: number): void {
    const now = performance.now();
    if (this.#schedule === undefined || this.#stopping !== undefined || !this.#packets.take(now)) return;
    if (questions.some(({ name }) => name.toLowerCase() === SERVICE_TYPE)) this.#schedule.heardQuery(now);
    const reply = this.#announcement.answer(questions, known);
    if (reply === undefined) return;
    if (from.port !== MDNS_PORT) {
      if (this.#legacy.take(now)) this.#socket?.respondTo(from, id, questions, legacyReply(reply));
      return;
    }
    this.#asked.push({ questions, known });
    this.#schedule.answer(now);
    this.#sleep();
  }

  /** One packet for all who asked meanwhile. What only one of them knows is said for the others. */
  #giveAnswers(): void {
    const replies = this.#asked.flatMap(({ questions, known }) => this.#announcement.answer(questions, known) ?? []);
    this.#asked = [];
    const answers = unique(replies.flatMap((reply) => reply.answers));
    const additionals = unique(replies.flatMap((reply) => reply.additionals));
    const said = new Set(answers.map(keyOf));
    const rest = additionals.filter((record) => !said.has(keyOf(record)));
    if (answers.length > 0) void this.#socket?.respond({ answers, additionals: rest });
  }

  #onResponse(records: readonly DnsRecord[]): void {
    const now = performance.now();
    if (this.#schedule === undefined || this.#stopping !== undefined || !this.#packets.take(now)) return;
    this.#apply(this.#table.take(records, now));
    this.#sleep();
  }

  #apply(changes: TableChanges): void {
    let isChanged = false;
    for (const service of changes.gone) {
      const node = this.#nodes.get(service.instance);
      if (!this.#nodes.delete(service.instance) || node === undefined) continue;
      isChanged = true;
      this.#options.onGone?.(node);
    }
    for (const service of changes.found) {
      const node = this.#nodeOf(service);
      if (node === undefined) continue;
      isChanged = true;
      this.#nodes.set(service.instance, node);
      this.#options.onFound?.(node);
    }
    if (isChanged) this.#report();
  }

  #nodeOf(service: FoundService): FoundNode | undefined {
    const owner = ownerOf(service.instance, this.#options.clusterName, service.text);
    if (owner === undefined || owner.nodeId === this.#options.nodeId) return undefined;
    return { ...owner, endpoint: service.endpoint };
  }

  #declareSearched(): void {
    if (this.#stopping !== undefined) return;
    this.#searched = true;
    this.#report();
  }

  #report(): void {
    const gossip = this.nodes().flatMap(({ kind, endpoint }) => (kind === 'serf' ? [endpoint] : []));
    this.#options.onDiscovered?.({ gossip, searched: this.#searched });
  }

  #warn(text: string): void {
    if (this.#warned.has(text) || this.#warned.size >= WARNINGS_MAX) return;
    this.#warned.add(text);
    this.#options.onWarning?.(text);
  }
}

function keyOf(record: DnsRecord): string {
  return JSON.stringify([record.type, record.name, record.data]);
}

function unique(records: readonly DnsRecord[]): DnsRecord[] {
  return [...new Map(records.map((record) => [keyOf(record), record])).values()];
}
