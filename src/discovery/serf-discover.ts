/**
 * Finds Serf agents by mDNS as they find each other (`-discover=NAME`), joins them, and lets them find us. They ask from a port of
 * their own and are answered there; nothing is announced unasked. wire-gossip.md 21.
 */
import type { RemoteInfo } from 'node:dgram';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { Question } from './announcement.ts';
import { type MdnsInterface, MdnsSocket } from './mdns-socket.ts';
import { RateLimit } from './rate-limit.ts';
import type { DnsRecord } from './records.ts';
import { type SerfIdentity, serfAnswers, serfPeersIn, serfService } from './serf-records.ts';

export interface SerfDiscoverOptions extends SerfIdentity {
  readonly interface: MdnsInterface;
  /** Joins these without their past events; resolves with how many answered. */
  readonly join: (endpoints: readonly Endpoint[]) => Promise<number>;
  /** Whether a live member is there already: it is not joined again. */
  readonly isMember: (endpoint: Endpoint) => boolean;
  readonly onWarning: (text: string) => void;
}

/** An agent asks at its start and then once a minute. A packet may be lost, so we ask a little more at first. */
const POLLS_MS: readonly number[] = [0, 1_000, 4_000, 15_000];
const POLL_MS = 60_000;
/** As agents do: what comes in one burst is joined in one call. */
const QUIET_MS = 100;
/** Found and not joined yet; more than a link holds is an attack. */
const FOUND_MAX = 256;
const PACKETS_PER_SECOND_MAX = 200;
const REPLIES_PER_SECOND_MAX = 20;

export class SerfDiscover implements AsyncDisposable {
  readonly #options: SerfDiscoverOptions;
  readonly #found: Map<string, Endpoint> = new Map();
  readonly #packets: RateLimit = new RateLimit(PACKETS_PER_SECOND_MAX);
  readonly #replies: RateLimit = new RateLimit(REPLIES_PER_SECOND_MAX);
  #responder: MdnsSocket | undefined;
  #asker: MdnsSocket | undefined;
  #poll: NodeJS.Timeout | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #polls = 0;
  #isJoining = false;
  #stopping: Promise<void> | undefined;

  constructor(options: SerfDiscoverOptions) {
    this.#options = options;
  }

  /** Rejects with DiscoveryError when mDNS cannot be had; then nothing runs. */
  async start(): Promise<void> {
    const { interface: on, onWarning } = this.#options;
    this.#responder = await MdnsSocket.open(on, {
      onQuery: (questions, _known, from, id) => this.#onQuery(questions, from, id),
      onResponse: () => undefined,
      onWarning,
    });
    const own = { onQuery: () => undefined, onWarning };
    const onResponse = (records: readonly DnsRecord[]): void => this.#onResponse(records);
    this.#asker = await MdnsSocket.open(on, { ...own, onResponse }, 'own');
    this.#ask();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#poll);
    clearTimeout(this.#quiet);
    await Promise.all([this.#asker?.close(), this.#responder?.close()]);
  }

  #ask(): void {
    if (this.#stopping !== undefined) return;
    this.#asker?.query([{ name: serfService(this.#options.name), type: 'PTR' }], []);
    const [at, next] = [POLLS_MS[this.#polls], POLLS_MS[this.#polls + 1]];
    this.#polls += 1;
    this.#poll = setTimeout(() => this.#ask(), at === undefined || next === undefined ? POLL_MS : next - at);
  }

  #onQuery(questions: readonly Question[], from: RemoteInfo, id: number): void {
    const now = performance.now();
    if (this.#stopping !== undefined || !this.#packets.take(now)) return;
    const answers = questions.flatMap((question) => serfAnswers(this.#options, question));
    if (answers.length > 0 && this.#replies.take(now))
      this.#responder?.respondTo(from, id, [], { answers, additionals: [] });
  }

  #onResponse(records: readonly DnsRecord[]): void {
    if (this.#stopping !== undefined || !this.#packets.take(performance.now())) return;
    const { name, endpoint, isMember } = this.#options;
    for (const peer of serfPeersIn(records, name)) {
      const at = formatEndpoint(peer);
      const isNews = at !== formatEndpoint(endpoint) && !isMember(peer);
      if (isNews && this.#found.size < FOUND_MAX) this.#found.set(at, peer);
    }
    if (this.#found.size === 0) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#join(), QUIET_MS);
  }

  /** Whom we could not reach is found again with the next question. */
  #join(): void {
    if (this.#stopping !== undefined || this.#isJoining) return;
    const peers = [...this.#found.values()];
    this.#found.clear();
    this.#isJoining = true;
    this.#options
      .join(peers)
      .catch((error: unknown) => {
        this.#options.onWarning(`found by mDNS, but not joined: ${(error as Error).message}`);
      })
      .finally(() => {
        this.#isJoining = false;
      });
  }
}
