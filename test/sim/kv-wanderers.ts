/**
 * Clients of the agreed log that ask whatever it can be asked: ranges, deletes, transactions with conditions on revisions, what was there
 * before, reads that may be old. They share a few keys and judge nothing; the log does (kv-record.ts).
 */
import { fromUtf8, utf8 } from '../../src/base/bytes.ts';
import type { ClusterId } from '../../src/model/ids.ts';
import type {
  KeyValue,
  KvAnswer,
  KvCompare,
  KvMutation,
  KvOperation,
  KvRequest,
  KvResult,
} from '../../src/model/kv.ts';
import type { RangeQuery } from '../../src/model/kv.ts';
import { Chance } from './chance.ts';
import { askAnyNode } from './kv-asking.ts';
import type { KvRecord, OpenKv } from './kv-record.ts';
import type { Simulation } from './simulation.ts';

const THINK_MS = 150;
const PATIENCE_MS = 5_000;
const KEYS = 5;
const FIRST_NUMBER = 1_000;
const NOWHERE: Uint8Array = new Uint8Array();

interface Wanderer {
  readonly number: number;
  session: number | undefined;
  seq: number;
}

export class KvWanderers {
  readonly #simulation: Simulation;
  readonly #record: KvRecord;
  readonly #chance: Chance;
  readonly #clusterId: ClusterId | undefined;
  /** As it was last seen by anybody, so that conditions hold now and then. */
  readonly #seen: Map<string, KeyValue> = new Map();
  #lastValue = 0;
  #isOver = false;

  constructor(simulation: Simulation, record: KvRecord, clusterId: ClusterId | undefined) {
    this.#simulation = simulation;
    this.#record = record;
    this.#clusterId = clusterId;
    this.#chance = new Chance(simulation.options.seed, 'wanderers');
    const count = 1 + this.#chance.below(2);
    for (let i = 0; i < count; i++) this.#think({ number: FIRST_NUMBER + i, session: undefined, seq: 1 });
  }

  end(): void {
    this.#isOver = true;
  }

  #think(wanderer: Wanderer): void {
    this.#later(this.#chance.exponential(THINK_MS), () => {
      if (this.#isOver) return;
      const again = (): void => this.#think(wanderer);
      if (wanderer.session === undefined) return this.#openSession(wanderer, again);
      const request = this.#requestOf(wanderer);
      const open = this.#record.called(wanderer.number, request);
      this.#try(wanderer, { open, until: this.#simulation.now + PATIENCE_MS, isUncertain: false }, again);
    });
  }

  #openSession(wanderer: Wanderer, then: () => void): void {
    this.#ask({ kind: 'openSession' }, (answer) => {
      const result = answer?.kind === 'reply' && answer.reply.kind === 'done' ? answer.reply.result : undefined;
      if (result?.kind === 'session') wanderer.session = result.session;
      then();
    });
  }

  #try(
    wanderer: Wanderer,
    { open, until, isUncertain }: { readonly open: OpenKv; readonly until: number; readonly isUncertain: boolean },
    then: () => void,
  ): void {
    this.#ask(open.request, (answer) => {
      if (answer?.kind === 'reply' && answer.reply.kind === 'done') {
        this.#note(answer.reply.result);
        return this.#close(wanderer, open, answer.reply, then);
      }
      const isUnknown = isUncertain || (answer?.kind !== 'refused' && answer?.kind !== 'reply');
      if (answer?.kind === 'reply') wanderer.session = undefined;
      else if (this.#simulation.now < until) {
        const next = { open, until, isUncertain: isUnknown };
        return this.#later(this.#chance.between(1, 60), () => this.#try(wanderer, next, then));
      }
      this.#close(wanderer, open, isUnknown ? undefined : 'none', then);
    });
  }

  #close(wanderer: Wanderer, open: OpenKv, reply: Parameters<KvRecord['ended']>[1], then: () => void): void {
    this.#record.ended(open, reply);
    if (open.request.kind === 'mutate') wanderer.seq += 1;
    then();
  }

  #note(result: KvResult): void {
    if (result.kind === 'range') for (const kv of result.kvs) this.#seen.set(fromUtf8(kv.key), kv);
    if (result.kind === 'txn') for (const each of result.results) this.#note(each);
  }

  #requestOf({ session, seq }: Wanderer): KvRequest {
    if (this.#chance.isHit(0.35))
      return { kind: 'read', query: this.#query(), consistency: this.#chance.isHit(0.3) ? 'stale' : 'linearizable' };
    const mark = session === undefined ? undefined : { session, seq, ackedBelow: seq };
    return { kind: 'mutate', mutation: this.#mutation(), session: mark };
  }

  #mutation(): KvMutation {
    if (this.#chance.isHit(0.3)) return this.#put(this.#key());
    if (this.#chance.isHit(0.25)) return this.#delete();
    const keys = this.#chance.shuffled(Array.from({ length: KEYS }, (_, i) => `m${i}`));
    const compares = keys.slice(0, 1 + this.#chance.below(2)).map((key) => this.#compare(key));
    const puts = keys.slice(1, 2 + this.#chance.below(2)).map((key) => this.#put(key));
    const range = (): KvOperation => ({ kind: 'range', ...this.#query() });
    return { kind: 'txn', compares, success: [range(), ...puts, range()], failure: [range()] };
  }

  #compare(key: string): KvCompare {
    const seen = this.#seen.get(key);
    const relation = this.#chance.pick(['equal', 'equal', 'notEqual', 'less', 'greater'] as const) ?? 'equal';
    const target = this.#chance.pick(['version', 'createRevision', 'modRevision', 'value'] as const) ?? 'version';
    if (target === 'value') return { key: utf8(key), relation, target, operand: seen?.value ?? utf8('0') };
    return { key: utf8(key), relation, target, operand: seen?.[target] ?? 0 };
  }

  #put(key: string): Extract<KvOperation, { kind: 'put' }> {
    this.#lastValue += 1;
    return { kind: 'put', key: utf8(key), value: utf8(`w${this.#lastValue}`), prevKv: this.#chance.isHit(0.5) };
  }

  #delete(): Extract<KvOperation, { kind: 'delete' }> {
    return { kind: 'delete', ...this.#range(), prevKv: this.#chance.isHit(0.5) };
  }

  #query(): RangeQuery {
    const limit = this.#chance.isHit(0.2) ? 1 + this.#chance.below(2) : 0;
    return { ...this.#range(), limit, keysOnly: this.#chance.isHit(0.1), countOnly: this.#chance.isHit(0.1) };
  }

  #range(): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
    if (this.#chance.isHit(0.6)) return { key: utf8(this.#key()), rangeEnd: NOWHERE };
    return { key: utf8(this.#key()), rangeEnd: this.#chance.isHit(0.1) ? Uint8Array.of(0) : utf8(`m${KEYS - 1}`) };
  }

  #key(): string {
    return `m${this.#chance.below(KEYS)}`;
  }

  #ask(request: KvRequest, heard: (answer: KvAnswer | undefined) => void): void {
    askAnyNode(this.#simulation, { chance: this.#chance, clusterId: this.#clusterId }, request, heard);
  }

  #later(delayMs: number, act: () => void): void {
    this.#simulation.at(this.#simulation.now + delayMs, act);
  }
}
