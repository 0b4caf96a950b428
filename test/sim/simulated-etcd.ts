/**
 * A standalone etcd of one mind: keys with revisions, leases by a clock of its own, transactions and watches, as far as the nodes use them.
 * On the way there and back questions and answers take their time, and while harm is done they get lost, watches break, old revisions
 * are compacted, and it is away for a while, for one node or for all.
 */
import { equalBytes } from '../../src/base/bytes.ts';
import type {
  EtcdAnswer,
  EtcdEvent,
  EtcdInput,
  EtcdKeyValue,
  EtcdQuestion,
  EtcdRequest,
  KeyRange,
} from '../../src/etcd/messages.ts';
import type { Chance } from './chance.ts';
import { Violation } from './violation.ts';

/** The real link gives up then. */
const ANSWER_MS = 3_000;

export interface EtcdClient {
  readonly machine: number;
  readonly isUp: boolean;
  receive(input: { readonly kind: 'etcd'; readonly told: EtcdInput }): void;
}

export interface EtcdHost {
  readonly now: number;
  at(instant: number, act: () => void): void;
  /** It is away now, for one machine or for all. */
  onEtcdOutage(machine: number | undefined): void;
}

export interface EtcdHarm {
  /** Of questions, and of answers, this part gets lost. */
  readonly loss: number;
  /** Mean time between two outages; Infinity for none. */
  readonly outageEveryMs: number;
  readonly outageForMs: number;
}

const NO_HARM: EtcdHarm = { loss: 0, outageEveryMs: Number.POSITIVE_INFINITY, outageForMs: 0 };

interface Lease {
  readonly ttlMs: number;
  expiresAt: number;
}

interface Watch {
  readonly client: EtcdClient;
  readonly watch: number;
  readonly range: KeyRange;
  nextRevision: number;
  /** What it was told last arrives then, and no sooner what follows. */
  arrivesAt: number;
}

interface Revision {
  readonly revision: number;
  readonly events: readonly EtcdEvent[];
}

export class SimulatedEtcd {
  readonly #host: EtcdHost;
  readonly #chance: Chance;
  readonly #rate: number;
  readonly #meanMs: number;
  readonly #keys: Map<string, EtcdKeyValue> = new Map();
  readonly #leases: Map<number, Lease> = new Map();
  readonly #watches: Set<Watch> = new Set();
  #history: Revision[] = [];
  #revision = 1;
  #compacted = 0;
  #harm: EtcdHarm = NO_HARM;
  #isAway = false;
  readonly #cutOff: Set<number> = new Set();
  readonly #lateness: Map<number, number> = new Map();

  /** `rate`: how fast its clock runs. */
  constructor(host: EtcdHost, chance: Chance, { rate, meanMs }: { rate: number; meanMs: number }) {
    this.#host = host;
    this.#chance = chance;
    this.#rate = rate;
    this.#meanMs = meanMs;
  }

  begin(harm: EtcdHarm): void {
    this.#harm = harm;
    this.#planOutage();
  }

  end(): void {
    this.#harm = NO_HARM;
    this.#isAway = false;
    this.#cutOff.clear();
    this.#lateness.clear();
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  /** Hears nothing of this machine, nor it of etcd, until {@link end} is called. */
  cutOff(machine: number): void {
    this.#cutOff.add(machine);
    this.#breakWatches(({ client }) => client.machine === machine);
  }

  /** Its answers to this machine take so much longer. */
  slowDown(machine: number, lateness: number): void {
    this.#lateness.set(machine, lateness);
  }

  /** There for nobody, until {@link end} is called. */
  stop(): void {
    this.#isAway = true;
    this.#breakWatches(() => true);
  }

  perform(client: EtcdClient, request: EtcdRequest): void {
    if (request.kind === 'askEtcd') this.#onAsk(client, request.ask, request.question);
    else if (request.kind === 'unwatchEtcd') this.#drop(client, request.watch);
    else this.#later(() => this.#onWatch(client, request));
  }

  #onAsk(client: EtcdClient, ask: number, question: EtcdQuestion): void {
    const askedAt = this.#host.now;
    const fail = (): void =>
      this.#host.at(askedAt + ANSWER_MS, () => tell(client, { kind: 'etcdAnswer', ask, answer: FAILED }));
    if (this.#isLost(client)) {
      fail();
      // What nobody waits for any more may be done yet.
      if (this.#harm !== NO_HARM && this.#chance.isHit(0.3))
        this.#later(() => void this.#do(question), this.#chance.between(0, 3 * ANSWER_MS));
      return;
    }
    this.#later(() => {
      if (this.#isLost(client)) return fail();
      const answer = this.#do(question);
      if (this.#isLost(client)) return fail();
      const lateness = this.#lateness.get(client.machine) ?? 0;
      this.#later(() => tell(client, { kind: 'etcdAnswer', ask, answer }), lateness);
    });
  }

  #isLost(client: EtcdClient): boolean {
    return this.#isAway || this.#cutOff.has(client.machine) || this.#chance.isHit(this.#harm.loss);
  }

  #later(act: () => void, lateness = 0): void {
    this.#host.at(this.#host.now + lateness + 0.1 + this.#chance.exponential(this.#meanMs), act);
  }

  #do(question: EtcdQuestion): EtcdAnswer {
    this.#expire();
    switch (question.kind) {
      case 'grant': {
        if (this.#leases.has(question.lease)) return FAILED;
        const ttlMs = question.ttlSeconds * 1_000;
        this.#leases.set(question.lease, { ttlMs, expiresAt: this.#clock + ttlMs });
        this.#expireAt(ttlMs);
        return { kind: 'lease', ttlSeconds: question.ttlSeconds };
      }
      case 'keepAlive': {
        const lease = this.#leases.get(question.lease);
        if (lease === undefined) return { kind: 'lease', ttlSeconds: 0 };
        lease.expiresAt = this.#clock + lease.ttlMs;
        this.#expireAt(lease.ttlMs);
        return { kind: 'lease', ttlSeconds: lease.ttlMs / 1_000 };
      }
      case 'revoke':
        this.#end(question.lease);
        return { kind: 'revoked' };
      case 'txn': {
        const succeeded = question.guards.every(
          ({ key, createRevision }) => (this.#keys.get(key)?.createRevision ?? 0) === createRevision,
        );
        if (succeeded) this.#write(question);
        return { kind: 'txn', succeeded, revision: this.#revision, store: 1 };
      }
      case 'range':
        return this.#range(question);
    }
  }

  #range({ range, limit, revision }: Extract<EtcdQuestion, { kind: 'range' }>): EtcdAnswer {
    if (revision !== undefined && revision < this.#compacted) return FAILED;
    const kvs = [...this.#keysAt(revision ?? this.#revision).values()].filter(({ key }) => isIn(range, key));
    kvs.sort((a, b) => (a.key < b.key ? -1 : 1));
    const answered = kvs.slice(0, limit);
    return {
      kind: 'range',
      kvs: answered,
      more: kvs.length > limit,
      revision: this.#revision,
      store: 1,
    };
  }

  /** Undoes nothing: goes through the history from the newest compaction on. */
  #keysAt(revision: number): ReadonlyMap<string, EtcdKeyValue> {
    if (revision >= this.#revision) return this.#keys;
    const keys = new Map(this.#base);
    for (const { revision: at, events } of this.#history) {
      if (at > revision) break;
      for (const event of events) {
        if (event.kind === 'put') keys.set(event.kv.key, event.kv);
        else keys.delete(event.key);
      }
    }
    return keys;
  }

  /** The keys as of `#compacted`. */
  #base: ReadonlyMap<string, EtcdKeyValue> = new Map();

  #write({ puts, deletes }: Pick<Extract<EtcdQuestion, { kind: 'txn' }>, 'puts' | 'deletes'>): void {
    const revision = this.#revision + 1;
    const events: EtcdEvent[] = [];
    for (const { key, value, lease = 0 } of puts) {
      const createRevision = this.#keys.get(key)?.createRevision ?? revision;
      const kv = { key, value, createRevision, modRevision: revision, lease };
      if (lease !== 0 && !this.#leases.has(lease)) continue;
      this.#mustNotChange(key, value);
      this.#keys.set(key, kv);
      events.push({ kind: 'put', kv });
    }
    for (const range of deletes)
      for (const key of [...this.#keys.keys()].filter((one) => isIn(range, one)).sort()) {
        this.#keys.delete(key);
        events.push({ kind: 'delete', key, modRevision: revision });
      }
    if (events.length === 0) return;
    this.#revision = revision;
    this.#history.push({ revision, events });
    for (const watch of this.#watches) this.#tellNews(watch);
    if (this.#chance.isHit(0.01)) this.#compact(5);
  }

  /** What is agreed stays what it is. */
  #mustNotChange(key: string, value: Uint8Array): void {
    const before = this.#keys.get(key);
    if (key.includes('/log/') && before !== undefined && !equalBytes(before.value, value))
      throw new Violation(`I-5: ${key} is written again with something else`);
  }

  /** Forgets all that is not so any more. */
  compactNow(): void {
    this.#compact(0);
  }

  #compact(kept: number): void {
    const upTo = Math.max(this.#compacted, this.#revision - kept);
    this.#base = new Map(this.#keysAt(upTo));
    this.#compacted = upTo;
    this.#history = this.#history.filter(({ revision }) => revision > upTo);
  }

  // Leases.

  get #clock(): number {
    return this.#host.now * this.#rate;
  }

  #expireAt(ttlMs: number): void {
    this.#host.at(this.#host.now + ttlMs / this.#rate + 0.01, () => this.#expire());
  }

  #expire(): void {
    for (const [id, { expiresAt }] of this.#leases) if (this.#clock >= expiresAt) this.#end(id);
  }

  #end(id: number): void {
    if (!this.#leases.delete(id)) return;
    const held = [...this.#keys.values()].filter(({ lease }) => lease === id);
    if (held.length > 0) this.#write({ puts: [], deletes: held.map(({ key }) => ({ from: key, to: `${key}\0` })) });
  }

  // Watches.

  #onWatch(client: EtcdClient, { watch, range, fromRevision }: Extract<EtcdRequest, { kind: 'watchEtcd' }>): void {
    const isCompacted = fromRevision <= this.#compacted;
    if (this.#isLost(client) || isCompacted) {
      this.#later(() => tell(client, { kind: 'etcdWatchEnded', watch, isCompacted }));
      return;
    }
    const one: Watch = { client, watch, range, nextRevision: fromRevision, arrivesAt: 0 };
    this.#watches.add(one);
    this.#tellNews(one);
  }

  #tellNews(watch: Watch): void {
    const { client, range } = watch;
    if (!client.isUp) {
      this.#watches.delete(watch);
      return;
    }
    if (this.#isLost(client)) {
      this.#breakWatches((other) => other === watch);
      return;
    }
    const news = this.#history.filter(({ revision }) => revision >= watch.nextRevision);
    watch.nextRevision = this.#revision + 1;
    const events = news.flatMap((one) => one.events.filter((event) => isIn(range, keyOf(event))));
    const revision = news.at(-1)?.revision;
    if (revision === undefined || events.length === 0) return;
    this.#arrive(watch, { kind: 'etcdEvents', watch: watch.watch, events, revision });
  }

  #breakWatches(isBroken: (watch: Watch) => boolean): void {
    for (const watch of [...this.#watches].filter(isBroken)) {
      this.#watches.delete(watch);
      // Some break in silence.
      if (this.#chance.isHit(0.7))
        this.#arrive(watch, { kind: 'etcdWatchEnded', watch: watch.watch, isCompacted: false });
    }
  }

  #arrive(watch: Watch, told: EtcdInput): void {
    const wanted = this.#host.now + 0.1 + this.#chance.exponential(this.#meanMs);
    watch.arrivesAt = Math.max(watch.arrivesAt + 0.001, wanted);
    this.#host.at(watch.arrivesAt, () => tell(watch.client, told));
  }

  #drop(client: EtcdClient, number: number): void {
    for (const watch of this.#watches)
      if (watch.client === client && watch.watch === number) this.#watches.delete(watch);
  }

  #planOutage(): void {
    const { outageEveryMs, outageForMs } = this.#harm;
    if (outageEveryMs === Number.POSITIVE_INFINITY) return;
    this.#host.at(this.#host.now + this.#chance.exponential(outageEveryMs), () => {
      if (this.#harm === NO_HARM) return;
      const victim = this.#chance.isHit(0.5) ? undefined : this.#chance.below(8);
      if (victim === undefined) this.#isAway = true;
      else this.#cutOff.add(victim);
      this.#host.onEtcdOutage(victim);
      this.#breakWatches(({ client }) => victim === undefined || client.machine === victim);
      this.#host.at(this.#host.now + this.#chance.exponential(outageForMs), () => {
        if (victim === undefined) this.#isAway = false;
        else this.#cutOff.delete(victim);
      });
      this.#planOutage();
    });
  }
}

const FAILED: EtcdAnswer = { kind: 'failed', reason: 'no answer', isRefused: false };

function tell(client: EtcdClient, told: EtcdInput): void {
  client.receive({ kind: 'etcd', told });
}

function isIn({ from, to }: KeyRange, key: string): boolean {
  return key >= from && key < to;
}

function keyOf(event: EtcdEvent): string {
  return event.kind === 'put' ? event.kv.key : event.key;
}
