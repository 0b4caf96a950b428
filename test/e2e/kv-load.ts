/**
 * Clients of the coordination state that note when they asked and what they heard, and the judgement in the end: every key's history has an
 * order (reliability.md 8), every write that was answered is there, and none took effect twice (I-23).
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectKv, type KeyValue, type KvClient } from '../../src/client.ts';
import { checkLinearizable, partition } from '../sim/history/linearizability.ts';
import {
  describeIllegal,
  EMPTY_REGISTER,
  REGISTER,
  type RegisterInput,
  type RegisterOperation,
} from '../sim/history/register.ts';

/** A key is left alone after so many operations: the search for an order grows with them. */
const OPERATIONS_PER_KEY = 250;
const KEYS = 5;
const CALL_MS = 4_000;
const THINK_MS = 3;
/** The search tries every place for what nobody heard of. */
const UNKNOWN_MAX = 8;

export interface LoadFigures {
  readonly operations: number;
  readonly acknowledgedWrites: number;
  readonly unknown: number;
  readonly refused: number;
  readonly keys: number;
  readonly undecided: number;
  /** The longest time in which nobody was answered. */
  readonly longestGapMs: number;
}

interface Key {
  readonly name: string;
  operations: number;
  unknown: number;
  /** Writes that were answered as having taken effect, and those of which nobody knows. */
  acknowledged: number;
  uncertain: number;
}

export class KvLoad {
  readonly #endpoints: readonly string[];
  readonly #prefix: string;
  readonly #clients: KvClient[] = [];
  readonly #history: RegisterOperation[] = [];
  readonly #keys: Key[] = [];
  readonly #lastRead: Map<string, number> = new Map();
  readonly #loops: Promise<void>[] = [];
  #isOver = false;
  #clock = 0;
  #lastValue = EMPTY_REGISTER;
  #refused = 0;
  #answeredAt = performance.now();
  #longestGapMs = 0;

  /** Its keys begin with `prefix`, and are nobody else's. */
  constructor(endpoints: readonly string[], prefix: string) {
    this.#endpoints = endpoints;
    this.#prefix = prefix;
  }

  begin(clients: number): void {
    this.#answeredAt = performance.now();
    for (let client = 0; client < clients; client++) {
      const order = this.#endpoints.map((_, at) => this.#endpoints[(at + client) % this.#endpoints.length] as string);
      const kv = connectKv(order);
      this.#clients.push(kv);
      this.#loops.push(this.#run(kv, client));
    }
  }

  get answered(): number {
    return this.#history.length;
  }

  /** Ends the load, reads every key once more, and judges. */
  async end(): Promise<LoadFigures> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    const reader = connectKv(this.#endpoints);
    for (const key of this.#keys) await this.#readLast(reader, key);
    for (const client of [reader, ...this.#clients]) await client.close();
    let undecided = 0;
    for (const [key, operations] of partition(this.#history, (input) => input.key)) {
      const verdict = checkLinearizable(REGISTER, operations, 1_000_000);
      assert.notEqual(
        verdict.kind,
        'illegal',
        verdict.kind === 'illegal' ? `${key}: ${describeIllegal(operations, verdict)}` : '',
      );
      if (verdict.kind === 'undecided') undecided += 1;
    }
    const sum = (of: (key: Key) => number): number => this.#keys.reduce((total, key) => total + of(key), 0);
    return {
      operations: this.#history.length,
      acknowledgedWrites: sum((key) => key.acknowledged),
      unknown: sum((key) => key.uncertain),
      refused: this.#refused,
      keys: this.#keys.length,
      undecided,
      longestGapMs: Math.round(this.#longestGapMs),
    };
  }

  async #run(kv: KvClient, client: number): Promise<void> {
    while (!this.#isOver) {
      await this.#once(kv, client);
      await sleep(THINK_MS * (0.5 + Math.random()));
    }
  }

  async #once(kv: KvClient, client: number): Promise<void> {
    const key = this.#key();
    const input = this.#inputFor(key);
    key.operations += 1;
    const call = this.#clock++;
    try {
      const output = await this.#perform(kv, input, key);
      const now = performance.now();
      this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#answeredAt);
      this.#answeredAt = now;
      this.#history.push({ client, input, call, return: this.#clock++, output });
      this.#lastRead.set(key.name, input.kind === 'write' ? input.value : output);
    } catch (error) {
      const { code } = error as { readonly code?: string };
      if (code === undefined) throw error;
      if (code !== 'FUNK_OUTCOME_UNKNOWN' || input.kind === 'read') {
        // A read changes nothing; anything else was certainly not done.
        this.#refused += 1;
        return;
      }
      key.unknown += 1;
      key.uncertain += 1;
      this.#history.push({ client, input, call, return: Number.POSITIVE_INFINITY, output: undefined });
    }
  }

  async #perform(kv: KvClient, input: RegisterInput, key: Key): Promise<number> {
    const options = { timeoutMs: CALL_MS };
    if (input.kind === 'read') return valueOf(await kv.get(input.key, options));
    if (input.kind === 'write') {
      await kv.put(input.key, String(input.value), options);
      key.acknowledged += 1;
      return input.value;
    }
    const expected = input.expected === EMPTY_REGISTER ? undefined : String(input.expected);
    const { succeeded, current } = await kv.compareAndSet(input.key, expected, String(input.value), options);
    if (succeeded) key.acknowledged += 1;
    return succeeded ? input.expected : valueOf(current);
  }

  /** One of the newest few; each is used up. */
  #key(): Key {
    const open = this.#keys
      .slice(-KEYS)
      .filter((key) => key.operations < OPERATIONS_PER_KEY && key.unknown < UNKNOWN_MAX);
    if (open.length < KEYS) {
      const made = {
        name: `${this.#prefix}-${this.#keys.length}`,
        operations: 0,
        unknown: 0,
        acknowledged: 0,
        uncertain: 0,
      };
      this.#keys.push(made);
      return made;
    }
    return open[Math.floor(Math.random() * open.length)] as Key;
  }

  #inputFor({ name: key }: Key): RegisterInput {
    const draw = Math.random();
    if (draw < 0.45) return { kind: 'read', key };
    this.#lastValue += 1;
    const value = this.#lastValue;
    if (draw < 0.75) return { kind: 'write', key, value };
    return { kind: 'exchange', key, value, expected: this.#lastRead.get(key) ?? EMPTY_REGISTER };
  }

  async #readLast(reader: KvClient, key: Key): Promise<void> {
    const call = this.#clock++;
    const last = await reader.get(key.name, { timeoutMs: 60_000 });
    const input = { kind: 'read', key: key.name } as const;
    this.#history.push({ client: -1, input, call, return: this.#clock++, output: valueOf(last) });
    const version = last?.version ?? 0;
    assert.ok(
      version >= key.acknowledged,
      `${key.name}: ${key.acknowledged} writes were answered, ${version} are there`,
    );
    const most = key.acknowledged + key.uncertain;
    assert.ok(version <= most, `I-23: ${key.name}: ${most} writes can have taken effect, ${version} did`);
  }
}

function valueOf(kv: KeyValue | undefined): number {
  return kv === undefined ? EMPTY_REGISTER : Number(Buffer.from(kv.value).toString());
}
