/**
 * Clients of the agreed log: they read, write and exchange keys through any node, under sessions, and try again elsewhere what nobody answered.
 * In the end every key's history has an order (reliability.md 8), every write that was answered is there, and none took effect twice (I-23).
 */
import { utf8 } from '../../src/base/bytes.ts';
import type { ClusterId } from '../../src/model/ids.ts';
import type { KvAnswer, KvMutation, KvReply, KvRequest, KvResult } from '../../src/model/kv.ts';
import { Chance } from './chance.ts';
import { checkLinearizable, partition } from './history/linearizability.ts';
import {
  describeIllegal,
  EMPTY_REGISTER,
  REGISTER,
  type RegisterInput,
  type RegisterOperation,
} from './history/register.ts';
import { askAnyNode } from './kv-asking.ts';
import { KvRecord, type OpenKv } from './kv-record.ts';
import { KvWanderers } from './kv-wanderers.ts';
import type { Simulation } from './simulation.ts';
import { Violation } from './violation.ts';

const THINK_MS = 120;
/** A write that is not answered for so long is given up: it may have taken effect, or may yet. */
const PATIENCE_MS = 6_000;
const KEYS = 3;
const READER = -1;
/** The search tries every place for what nobody heard of: a key with so many of them is left alone. */
const UNKNOWN_MAX = 6;
const OPERATIONS_MAX = 300;
const SEARCH_STEPS_MAX = 300_000;

export interface LogClientFigures {
  readonly operations: number;
  readonly unknown: number;
  readonly retries: number;
  readonly undecided: number;
  /** Answers that the log bears out (history/witness.ts). */
  readonly witnessed: number;
}

export const NO_LOG_CLIENTS: LogClientFigures = { operations: 0, unknown: 0, retries: 0, undecided: 0, witnessed: 0 };

interface Key {
  readonly name: string;
  operations: number;
  acknowledged: number;
  uncertain: number;
  last: number;
}

interface Client {
  readonly number: number;
  session: number | undefined;
  seq: number;
}

interface Call {
  readonly client: Client;
  readonly input: RegisterInput;
  readonly key: Key;
  readonly called: number;
  readonly deadline: number;
  /** Of the try that is under way; answers of earlier ones are not heard any more. */
  tries: number;
  /** An earlier try may have taken effect. */
  isUncertain: boolean;
  readonly open: OpenKv;
}

export class LogClients {
  readonly #simulation: Simulation;
  readonly #chance: Chance;
  readonly #history: RegisterOperation[] = [];
  readonly #keys: Key[] = [];
  readonly #open: Set<Call> = new Set();
  readonly #record: KvRecord = new KvRecord();
  #wanderers: KvWanderers | undefined;
  #clusterId: ClusterId | undefined;
  #clock = 0;
  #lastValue = EMPTY_REGISTER;
  #retries = 0;
  #isOver = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#chance = new Chance(simulation.options.seed, 'log clients');
  }

  /** Once there is a cluster: keys would keep two of them apart for good. */
  begin(): void {
    this.#clusterId = this.#simulation.running()[0]?.process?.cluster.clusterId;
    const count = this.#simulation.options.clients === 0 ? 0 : 1 + this.#chance.below(3);
    for (let number = 0; number < count; number++) this.#think({ number, session: undefined, seq: 1 });
    if (count > 0) this.#wanderers = new KvWanderers(this.#simulation, this.#record, this.#clusterId);
  }

  end(): void {
    this.#isOver = true;
    this.#wanderers?.end();
  }

  /** One read of each key, once no call is open: what all clients were told must still be there, once each. */
  readAll(then: () => void): void {
    if (this.#open.size > 0) return this.#later(50, () => this.readAll(then));
    let left = this.#keys.length;
    if (left === 0) then();
    const client: Client = { number: READER, session: undefined, seq: 1 };
    const readOne = (key: Key): void => {
      const count = this.#history.length;
      this.#call(client, key, { kind: 'read', key: key.name }, () => {
        if (this.#history.length === count) return this.#later(50, () => readOne(key));
        left -= 1;
        if (left === 0) then();
      });
    };
    for (const key of this.#keys) readOne(key);
  }

  /** Throws a {@link Violation} when a history has no order. */
  judge(): LogClientFigures {
    for (const call of this.#open) this.#giveUp(call);
    let undecided = 0;
    for (const [key, operations] of partition(this.#history, (input) => input.key)) {
      const verdict = checkLinearizable(REGISTER, operations, SEARCH_STEPS_MAX);
      if (verdict.kind === 'illegal')
        throw new Violation(`LOG: the history of ${key} has no order: ${describeIllegal(operations, verdict)}`);
      if (verdict.kind === 'undecided') undecided += 1;
    }
    const unknown = this.#keys.reduce((sum, key) => sum + key.uncertain, 0);
    const witnessed = this.#record.judge(this.#simulation, this.#clusterId)?.compared ?? 0;
    return { operations: this.#history.length, unknown, retries: this.#retries, undecided, witnessed };
  }

  #think(client: Client): void {
    this.#later(this.#chance.exponential(THINK_MS), () => {
      if (this.#isOver) return;
      const again = (): void => this.#think(client);
      if (client.session === undefined) return this.#openSession(client, again);
      const key = this.#key();
      this.#call(client, key, this.#inputFor(key), again);
    });
  }

  #openSession(client: Client, then: () => void): void {
    this.#ask({ kind: 'openSession' }, (answer) => {
      const result = resultIn(answer);
      if (result?.kind === 'session') client.session = result.session;
      then();
    });
  }

  #call(client: Client, key: Key, input: RegisterInput, then: () => void): void {
    key.operations += 1;
    const deadline = this.#simulation.now + PATIENCE_MS;
    const open = this.#record.called(client.number, requestOf(client, input));
    const call: Call = { client, input, key, called: this.#clock++, deadline, tries: 0, isUncertain: false, open };
    this.#open.add(call);
    this.#try(call, then);
  }

  #try(call: Call, then: () => void): void {
    call.tries += 1;
    this.#ask(call.open.request, (answer) => {
      if (!this.#open.has(call)) return;
      if (this.#onAnswer(call, answer)) return then();
      this.#retries += 1;
      if (this.#simulation.now < call.deadline)
        return this.#later(this.#chance.between(1, 60), () => this.#try(call, then));
      this.#giveUp(call);
      then();
    });
  }

  /** False when it is to be tried again. */
  #onAnswer(call: Call, answer: KvAnswer | undefined): boolean {
    const { client, input } = call;
    if (answer === undefined || answer.kind === 'unknown') {
      call.isUncertain = input.kind !== 'read';
      return false;
    }
    if (answer.kind === 'refused') return false;
    const { reply } = answer;
    if (reply.kind === 'done') {
      this.#record.ended(call.open, reply);
      if (client.number === READER) checkWrites(call.key, reply.result);
      this.#close(call, outputOf(input, reply));
      return true;
    }
    if (reply.code !== 'SESSION_EXPIRED')
      throw new Violation(`I-23: client ${client.number} is refused request ${client.seq}: ${reply.reason}`);
    client.session = undefined;
    this.#giveUp(call);
    return true;
  }

  #close(call: Call, output: number): void {
    const { client, input, key, called } = call;
    this.#open.delete(call);
    this.#history.push({ client: client.number, input, call: called, return: this.#clock++, output });
    this.#simulation.trace.mix(client.number + 1, output);
    key.last = output;
    if (input.kind === 'read') return;
    client.seq += 1;
    if (input.kind === 'write' || output === input.expected) key.acknowledged += 1;
    if (input.kind === 'write') key.last = input.value;
  }

  /** What was only to be read changes nothing; nor does what was certainly not done. */
  #giveUp(call: Call): void {
    const { client, input, key, called, isUncertain } = call;
    this.#record.ended(call.open, isUncertain ? undefined : 'none');
    if (!this.#open.delete(call) || input.kind === 'read') return;
    client.seq += 1;
    if (!isUncertain) return;
    key.uncertain += 1;
    this.#history.push({
      client: client.number,
      input,
      call: called,
      return: Number.POSITIVE_INFINITY,
      output: undefined,
    });
  }

  #ask(request: KvRequest, heard: (answer: KvAnswer | undefined) => void): void {
    askAnyNode(this.#simulation, { chance: this.#chance, clusterId: this.#clusterId }, request, heard);
  }

  #key(): Key {
    const open = this.#keys
      .slice(-KEYS)
      .filter((key) => key.operations < OPERATIONS_MAX && key.uncertain < UNKNOWN_MAX);
    const picked = open.length < KEYS ? undefined : this.#chance.pick(open);
    if (picked !== undefined) return picked;
    const made = { name: `k${this.#keys.length}`, operations: 0, acknowledged: 0, uncertain: 0, last: EMPTY_REGISTER };
    this.#keys.push(made);
    return made;
  }

  #inputFor({ name: key, last }: Key): RegisterInput {
    if (this.#chance.isHit(0.5)) return { kind: 'read', key };
    this.#lastValue += 1;
    const value = this.#lastValue;
    return this.#chance.isHit(0.6) ? { kind: 'write', key, value } : { kind: 'exchange', key, value, expected: last };
  }

  #later(delayMs: number, act: () => void): void {
    this.#simulation.at(this.#simulation.now + delayMs, act);
  }
}

function requestOf({ session, seq }: Client, input: RegisterInput): KvRequest {
  const key = utf8(input.key);
  const query = { key, rangeEnd: new Uint8Array(), limit: 0, keysOnly: false, countOnly: false };
  if (input.kind === 'read') return { kind: 'read', query, consistency: 'linearizable' };
  const put = { kind: 'put', key, value: utf8(String(input.value)), prevKv: true } as const;
  return { kind: 'mutate', mutation: mutationOf(input, put, query), session: markOf(session, seq) };
}

function markOf(session: number | undefined, seq: number): Extract<KvRequest, { kind: 'mutate' }>['session'] {
  return session === undefined ? undefined : { session, seq, ackedBelow: seq };
}

function mutationOf(
  input: Exclude<RegisterInput, { kind: 'read' }>,
  put: Extract<KvMutation, { kind: 'put' }>,
  query: Extract<KvRequest, { kind: 'read' }>['query'],
): KvMutation {
  if (input.kind === 'write') return put;
  const { key } = put;
  const compare =
    input.expected === EMPTY_REGISTER
      ? ({ key, target: 'createRevision', relation: 'equal', operand: 0 } as const)
      : ({ key, target: 'value', relation: 'equal', operand: utf8(String(input.expected)) } as const);
  return { kind: 'txn', compares: [compare], success: [put], failure: [{ kind: 'range', ...query }] };
}

/** What was read, before an exchange as well; of a write, what it wrote. */
function outputOf(input: RegisterInput, { result }: Extract<KvReply, { kind: 'done' }>): number {
  if (input.kind === 'write') return input.value;
  if (result.kind === 'range') return valueIn(result);
  if (input.kind !== 'exchange' || result.kind !== 'txn') throw new Violation('an answer to something else');
  const [found] = result.results;
  return result.succeeded || found?.kind !== 'range' ? input.expected : valueIn(found);
}

/** Each write of a key raises its version by one. */
function checkWrites({ name, acknowledged, uncertain }: Key, result: KvResult): void {
  const version = result.kind === 'range' ? (result.kvs[0]?.version ?? 0) : 0;
  if (version < acknowledged)
    throw new Violation(`LOG: of ${acknowledged} writes of ${name} that were answered, ${version} are there`);
  if (version > acknowledged + uncertain)
    throw new Violation(`I-23: ${version} writes of ${name} took effect, and ${acknowledged + uncertain} can have`);
}

function valueIn({ kvs }: Extract<KvResult, { kind: 'range' }>): number {
  const [kv] = kvs;
  return kv === undefined ? EMPTY_REGISTER : Number(String.fromCharCode(...kv.value));
}

function resultIn(answer: KvAnswer | undefined): KvResult | undefined {
  return answer?.kind === 'reply' && answer.reply.kind === 'done' ? answer.reply.result : undefined;
}
