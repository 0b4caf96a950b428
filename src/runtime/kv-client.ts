/**
 * A client of the coordination state that tries again by itself and never does a thing twice: every write goes under a session, so that
 * whatever became of an earlier try, the next one has its answer (raft.md 6.4). It speaks to whoever takes its requests: the node in this
 * process, or any node over gRPC.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../base/assert.ts';
import { utf8 } from '../base/bytes.ts';
import { FunkError } from '../base/errors.ts';
import type {
  KeyValue,
  KvCompare,
  KvConsistency,
  KvMutation,
  KvOperation,
  KvRequest,
  KvResult,
  Revision,
} from '../model/kv.ts';
import { OutcomeUnknownError } from './handle-errors.ts';
import type { KvDone } from './kv-errors.ts';
import type { NodeHandle } from './node-handle.ts';
import { Lanes, type Ticket } from './kv-lanes.ts';
import { SystemRandom } from './system-random.ts';

export interface KvTryOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** One try; rejects with errors that bear a `code`: OutcomeUnknownError or TimedOutError when its time is over. */
export type KvAsk = (request: KvRequest, options: KvTryOptions) => Promise<KvDone>;

/** Asks a node in this process, which always answers, but perhaps not in time. */
export function askHandle(handle: () => NodeHandle): KvAsk {
  return (request, { timeoutMs, signal }) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new OutcomeUnknownError('the node did not answer in time')), timeoutMs);
      handle()
        .kv(request, signal && { signal })
        .then(
          (done) => {
            clearTimeout(timer);
            resolve(done);
          },
          (error: Error) => {
            clearTimeout(timer);
            reject(error);
          },
        );
    });
}

export interface KvCallOptions {
  /** How long it is tried, in milliseconds; 10,000 unless given. */
  readonly timeoutMs?: number;
  /** Aborting rejects with its reason; a write may still take effect. */
  readonly signal?: AbortSignal;
}

export interface KvReadOptions extends KvCallOptions {
  /** `linearizable` unless given. */
  readonly consistency?: KvConsistency;
}

export interface KvRangeOptions extends KvReadOptions {
  /** Of the keys that are listed; all unless given. */
  readonly limit?: number;
  readonly keysOnly?: boolean;
}

export interface KvRangeAnswer {
  readonly revision: Revision;
  readonly kvs: readonly KeyValue[];
  /** There are more than `limit`. */
  readonly more: boolean;
  /** Of all in the range. */
  readonly count: number;
}

export interface KvTxnAnswer {
  readonly revision: Revision;
  /** Whether all comparisons held. */
  readonly succeeded: boolean;
  readonly results: readonly KvResult[];
}

/** Nothing of it is in any log: another try cannot do it twice. */
const CERTAINLY_NOT: ReadonlySet<string> = new Set(['FUNK_NO_LEADER', 'FUNK_BUSY']);
/** Nobody knows: with a session another try tells. */
const UNCERTAIN: ReadonlySet<string> = new Set(['FUNK_OUTCOME_UNKNOWN', 'FUNK_TIMED_OUT', 'FUNK_UNREACHABLE']);
const TIMEOUT_MS = 10_000;
/** Of one try: longer than a node waits for a leader. */
const TRY_MS = 5_000;
/** A session that is not ended ends by itself. */
const CLOSE_MS = 1_000;
const TIMER_STEP_MS = 50;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 500;

/** A key or a value; text is UTF-8. */
export type KvBytes = string | Uint8Array;

/** With `prefix` all keys that begin so; with `end` all from `key` up to, and without, `end`. */
export type KvKeys = KvBytes | { readonly prefix: KvBytes } | { readonly key: KvBytes; readonly end: KvBytes };

/**
 * Every call rejects with the error of a refusal, which has a `code` and says whether anything changed; with OutcomeUnknownError when its time is
 * over and a write may have taken effect; or with the reason of an aborted signal.
 */
export class KvClient implements AsyncDisposable {
  readonly #ask: KvAsk;
  readonly #end: () => void;
  readonly #lanes: Lanes;
  readonly #random: SystemRandom = new SystemRandom();

  constructor(ask: KvAsk, end: () => void = () => undefined) {
    this.#ask = ask;
    this.#end = end;
    this.#lanes = new Lanes(() => this.#openSession());
  }

  /** Resolves with the revision of the write, and what was there before. */
  async put(
    key: KvBytes,
    value: KvBytes,
    options?: KvCallOptions,
  ): Promise<{ readonly revision: Revision; readonly prev: KeyValue | undefined }> {
    const mutation = { kind: 'put', key: bytesOf(key), value: bytesOf(value), prevKv: true } as const;
    const { revision, result } = await this.mutate(mutation, options);
    assert(result.kind === 'put', 'a put is answered as one');
    return { revision, prev: result.prev && copyOf(result.prev) };
  }

  /** The key with its value; undefined when it is not there. */
  async get(key: KvBytes, options?: KvReadOptions): Promise<KeyValue | undefined> {
    const { kvs } = await this.range(key, options);
    return kvs[0];
  }

  async range(keys: KvKeys, options: KvRangeOptions = {}): Promise<KvRangeAnswer> {
    const { limit = 0, keysOnly = false, consistency = 'linearizable' } = options;
    const query = { ...rangeOf(keys), limit, keysOnly, countOnly: false };
    const { revision, result } = await this.#read({ kind: 'read', query, consistency }, options);
    assert(result.kind === 'range', 'a range is answered as one');
    return { revision, kvs: result.kvs.map(copyOf), more: result.more, count: result.count };
  }

  /** Resolves with how many were there. */
  async delete(
    keys: KvKeys,
    options?: KvCallOptions,
  ): Promise<{ readonly revision: Revision; readonly deleted: number }> {
    const { revision, result } = await this.mutate({ kind: 'delete', ...rangeOf(keys), prevKv: false }, options);
    assert(result.kind === 'delete', 'a delete is answered as one');
    return { revision, deleted: result.deleted };
  }

  /**
   * Writes `value` if the key is as expected: with that value, with that `modRevision`, or not there (undefined). Resolves with whether it was,
   * and what is there otherwise.
   */
  async compareAndSet(
    key: KvBytes,
    expected: KvBytes | { readonly modRevision: Revision } | undefined,
    value: KvBytes,
    options?: KvCallOptions,
  ): Promise<{ readonly revision: Revision; readonly succeeded: boolean; readonly current: KeyValue | undefined }> {
    const name = bytesOf(key);
    const current = { kind: 'range', ...rangeOf(key), limit: 0, keysOnly: false, countOnly: false } as const;
    const { revision, succeeded, results } = await this.txn(
      [comparison(name, expected)],
      [{ kind: 'put', key: name, value: bytesOf(value), prevKv: false }],
      [current],
      options,
    );
    const [result] = results;
    return { revision, succeeded, current: result?.kind === 'range' ? result.kvs[0] : undefined };
  }

  /** When all `compares` hold, `success` is done, else `failure`: at once, under one revision. */
  async txn(
    compares: readonly KvCompare[],
    success: readonly KvOperation[],
    failure: readonly KvOperation[] = [],
    options?: KvCallOptions,
  ): Promise<KvTxnAnswer> {
    const { revision, result } = await this.mutate({ kind: 'txn', compares, success, failure }, options);
    assert(result.kind === 'txn', 'a transaction is answered as one');
    return { revision, succeeded: result.succeeded, results: result.results.map(copyOfResult) };
  }

  /** Any write, once, however often it has to be tried. */
  async mutate(mutation: KvMutation, options: KvCallOptions = {}): Promise<KvDone> {
    const patience = new Patience(options);
    const ticket = await this.#lanes.take();
    try {
      return await this.#mutateIn(ticket, mutation, patience);
    } finally {
      this.#lanes.release(ticket);
    }
  }

  /** Ends its sessions, as far as that is possible; others end after an hour. */
  async close(): Promise<void> {
    for (const lane of this.#lanes.all) {
      const session = await lane.opened();
      if (session === undefined) continue;
      await this.#ask({ kind: 'closeSession', session }, { timeoutMs: CLOSE_MS }).catch(() => undefined);
    }
    this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #mutateIn(ticket: Ticket, mutation: KvMutation, patience: Patience): Promise<KvDone> {
    // An earlier try may have taken effect.
    let isUncertain = false;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      const tried = await this.#tryIn(ticket, mutation, patience);
      if (tried.kind === 'done') return tried.done;
      const { error } = tried;
      if (tried.kind === 'failed') throw error;
      if (tried.kind === 'expired' && isUncertain)
        throw new OutcomeUnknownError('the session ended before it was known whether the write took effect', {
          cause: error,
        });
      if (tried.kind === 'uncertain') isUncertain = true;
      await this.#pause(pauseMs, patience, isUncertain, error);
    }
  }

  async #tryIn({ lane, seq }: Ticket, mutation: KvMutation, patience: Patience): Promise<Tried> {
    let session: number;
    try {
      session = await lane.session();
    } catch (error) {
      // Whatever became of the session, the write was not asked for.
      return { kind: CERTAINLY_NOT.has(codeOf(error)) || UNCERTAIN.has(codeOf(error)) ? 'notDone' : 'failed', error };
    }
    try {
      const mark = { session, seq, ackedBelow: lane.ackedBelow };
      return { kind: 'done', done: await this.#try({ kind: 'mutate', mutation, session: mark }, patience) };
    } catch (error) {
      const code = codeOf(error);
      if (code === 'FUNK_SESSION_EXPIRED') {
        await lane.forget(session);
        return { kind: 'expired', error };
      }
      if (CERTAINLY_NOT.has(code)) return { kind: 'notDone', error };
      return { kind: UNCERTAIN.has(code) ? 'uncertain' : 'failed', error };
    }
  }

  async #read(request: KvRequest, options: KvCallOptions): Promise<KvDone> {
    const patience = new Patience(options);
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      try {
        return await this.#try(request, patience);
      } catch (error) {
        const code = codeOf(error);
        if (!CERTAINLY_NOT.has(code) && !UNCERTAIN.has(code)) throw error;
        await this.#pause(pauseMs, patience, false, error);
      }
    }
  }

  #try(request: KvRequest, patience: Patience): Promise<KvDone> {
    patience.signal?.throwIfAborted();
    return this.#ask(request, { timeoutMs: patience.tryMs, ...(patience.signal && { signal: patience.signal }) });
  }

  /** Throws when there is no time for another try. */
  async #pause(ms: number, patience: Patience, isUncertain: boolean, cause: unknown): Promise<void> {
    patience.signal?.throwIfAborted();
    const pauseMs = ms * (0.5 + this.#random.next());
    if (patience.leftMs <= pauseMs) {
      if (isUncertain) throw new OutcomeUnknownError('its time is over; the write may have taken effect', { cause });
      throw cause;
    }
    await sleep(pauseMs, undefined, patience.signal && { signal: patience.signal });
  }

  /** A session that is opened twice costs a place for an hour, and nothing else. */
  async #openSession(): Promise<number> {
    const { result } = await this.#ask({ kind: 'openSession' }, { timeoutMs: TRY_MS });
    assert(result.kind === 'session', 'a session is answered as one');
    return result.session;
  }
}

type Tried =
  | { readonly kind: 'done'; readonly done: KvDone }
  /** `notDone`: certainly not in any log; `expired`: nor was this try, but an earlier one may have been. */
  | { readonly kind: 'notDone' | 'expired' | 'uncertain' | 'failed'; readonly error: unknown };

class Patience {
  readonly signal: AbortSignal | undefined;
  readonly #deadline: number;

  constructor({ timeoutMs = TIMEOUT_MS, signal }: KvCallOptions) {
    this.#deadline = performance.now() + timeoutMs;
    this.signal = signal;
  }

  get leftMs(): number {
    return this.#deadline - performance.now();
  }

  /** How long a try may take. Whole steps: timers of one length are kept together. */
  get tryMs(): number {
    return Math.min(TRY_MS, Math.max(1, Math.ceil(this.leftMs / TIMER_STEP_MS)) * TIMER_STEP_MS);
  }
}

function codeOf(error: unknown): string {
  return error instanceof FunkError ? error.code : '';
}

function comparison(key: Uint8Array, expected: KvBytes | { readonly modRevision: Revision } | undefined): KvCompare {
  if (expected === undefined) return { key, target: 'createRevision', relation: 'equal', operand: 0 };
  if (typeof expected === 'string' || expected instanceof Uint8Array)
    return { key, target: 'value', relation: 'equal', operand: bytesOf(expected) };
  return { key, target: 'modRevision', relation: 'equal', operand: expected.modRevision };
}

export function bytesOf(text: KvBytes): Uint8Array {
  return typeof text === 'string' ? utf8(text) : text;
}

export function rangeOf(keys: KvKeys): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  if (typeof keys === 'string' || keys instanceof Uint8Array) return { key: bytesOf(keys), rangeEnd: NO_END };
  if ('end' in keys) return { key: bytesOf(keys.key), rangeEnd: bytesOf(keys.end) };
  const prefix = bytesOf(keys.prefix);
  return { key: prefix.length === 0 ? WITHOUT_END : prefix, rangeEnd: endOfPrefix(prefix) };
}

const NO_END: Uint8Array = new Uint8Array(0);
const WITHOUT_END: Uint8Array = Uint8Array.of(0);

/** The first key behind all that begin with `prefix`. */
function endOfPrefix(prefix: Uint8Array): Uint8Array {
  for (let at = prefix.length - 1; at >= 0; at--) {
    const byte = prefix[at] as number;
    if (byte === 0xff) continue;
    const end = prefix.slice(0, at + 1);
    end[at] = byte + 1;
    return end;
  }
  return WITHOUT_END;
}

/** What comes from a node in this process is its own memory. */
function copyOf(kv: KeyValue): KeyValue {
  return { ...kv, key: kv.key.slice(), value: kv.value.slice() };
}

function copyOfResult(result: KvResult): KvResult {
  if (result.kind === 'put') return { ...result, prev: result.prev && copyOf(result.prev) };
  if (result.kind === 'delete') return { ...result, prevs: result.prevs.map(copyOf) };
  return result.kind === 'range' ? { ...result, kvs: result.kvs.map(copyOf) } : result;
}
