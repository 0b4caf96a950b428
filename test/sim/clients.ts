/**
 * Clients of the application that runs on the shards: they read, write and exchange the registers of a few shards through whoever owns
 * them, and note when they asked and what they heard. In the end every register's history must have an order (reliability.md 7.5, 8).
 */
import type { ShardId } from '../../src/model/ids.ts';
import { Chance } from './chance.ts';
import { GuardedStore } from './guarded-store.ts';
import { checkLinearizable, partition } from './history/linearizability.ts';
import {
  describeIllegal,
  EMPTY_REGISTER,
  REGISTER,
  type RegisterInput,
  type RegisterOperation,
} from './history/register.ts';
import { registerOf, type ServiceAnswer, ShardService } from './shard-service.ts';
import type { Machine, Simulation } from './simulation.ts';
import { Violation } from './violation.ts';

const THINK_MS = 90;
/** A client that is told to look elsewhere does so so often, then lets it be. */
const TRIES_MAX = 8;
const KEYS = 5;
/** The search tries every place for what nobody heard of: a register with so many of them is left alone. */
const UNKNOWN_MAX = 7;
const SEARCH_STEPS_MAX = 300_000;

export interface ClientFigures {
  /** In the histories that were judged. */
  readonly operations: number;
  readonly unknown: number;
  /** Writes of owners of old that the store refused. */
  readonly fenced: number;
  /** Registers whose history has too many orders to try. */
  readonly undecided: number;
}

interface Call {
  readonly client: number;
  readonly shard: ShardId;
  readonly kind: RegisterInput['kind'];
  readonly onEnd: () => void;
  operation: RegisterOperation | undefined;
  tries: number;
  isOver: boolean;
}

export class Clients {
  readonly #simulation: Simulation;
  readonly #chance: Chance;
  readonly #store: GuardedStore = new GuardedStore();
  readonly #service: ShardService;
  readonly #history: RegisterOperation[] = [];
  readonly #written: Map<string, Set<number>> = new Map();
  readonly #lastRead: Map<string, number> = new Map();
  readonly #ownerOf: Map<ShardId, Machine> = new Map();
  readonly #unknown: Map<string, number> = new Map();
  /** Calls that have not ended. */
  readonly #open: Set<Call> = new Set();
  #clock = 0;
  #lastValue = EMPTY_REGISTER;
  #firstKey = 0;
  #isOver = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#chance = new Chance(simulation.options.seed, 'clients');
    this.#service = new ShardService(this.#store, simulation, {
      chance: new Chance(simulation.options.seed, 'service'),
      lateness: simulation.options.storeLateness,
    });
  }

  begin(): void {
    for (let client = 0; client < this.#simulation.options.clients; client++) this.#think(client);
  }

  /** No further calls; those under way end by themselves. */
  end(): void {
    this.#service.calm();
    this.#isOver = true;
  }

  /** One read of each register that was written to: what all clients were told must still be there. */
  readAll(then: () => void): void {
    const shards = new Set([...this.#written.keys()].map((key) => Number(key.split('/')[1]) as ShardId));
    let left = shards.size;
    if (left === 0) then();
    const readOne = (shard: ShardId): void => {
      const count = this.#history.length;
      const call: Call = {
        client: -1,
        shard,
        kind: 'read',
        operation: undefined,
        tries: 0,
        isOver: false,
        onEnd: () => {
          if (this.#history.length === count) return this.#later(20, () => readOne(shard));
          left -= 1;
          if (left === 0) then();
        },
      };
      this.#attempt(call);
    };
    for (const shard of shards) readOne(shard);
  }

  /** Throws a {@link Violation} when the history of a register has no order. */
  judge(): ClientFigures {
    for (const call of this.#open) this.#giveUp(call);
    let undecided = 0;
    for (const [key, operations] of partition(this.#history, (input) => input.key)) {
      const verdict = checkLinearizable(REGISTER, operations, SEARCH_STEPS_MAX);
      if (verdict.kind === 'illegal')
        throw new Violation(`LIN: the history of ${key} has no order: ${describeIllegal(operations, verdict)}`);
      if (verdict.kind === 'undecided') undecided += 1;
    }
    const unknown = [...this.#unknown.values()].reduce((sum, count) => sum + count, 0);
    return { operations: this.#history.length, unknown, fenced: this.#store.refused, undecided };
  }

  #think(client: number): void {
    this.#later(this.#chance.exponential(THINK_MS), () => {
      if (this.#isOver) return;
      const shards = this.#simulation.options.shards;
      const shard = ((this.#firstKey + this.#chance.below(Math.min(KEYS, shards))) % shards) as ShardId;
      const kind = this.#chance.isHit(0.5) ? 'read' : this.#chance.isHit(0.7) ? 'write' : 'exchange';
      const onEnd = (): void => this.#think(client);
      const call: Call = { client, shard, kind, onEnd, operation: undefined, tries: 0, isOver: false };
      this.#open.add(call);
      this.#later(this.#simulation.options.patienceMs, () => this.#giveUp(call));
      this.#attempt(call);
    });
  }

  #attempt(call: Call): void {
    if (call.isOver) return;
    const { machines } = this.#simulation;
    const machine = this.#ownerOf.get(call.shard) ?? machines[this.#chance.below(machines.length)];
    const process = machine?.process;
    const key = process === undefined ? '' : registerOf(process, call.shard);
    if (machine === undefined || process === undefined || (this.#unknown.get(key) ?? 0) >= UNKNOWN_MAX)
      return this.#onRefused(call);
    const input = this.#inputOf(call, key);
    call.operation = {
      client: call.client,
      input,
      call: this.#clock++,
      return: Number.POSITIVE_INFINITY,
      output: undefined,
    };
    const begun = call.operation;
    if (input.kind !== 'read') this.#noteWritten(key, input.value);
    this.#later(this.#chance.between(0.05, 1), () =>
      process.whenRunning(() =>
        this.#service.serve(process, call.shard, input, (answer) =>
          this.#later(this.#chance.between(0.05, 1), () => {
            if (!call.isOver && call.operation === begun) this.#onAnswer(call, machine, answer);
          }),
        ),
      ),
    );
  }

  #onAnswer(call: Call, machine: Machine, answer: ServiceAnswer): void {
    if (answer.kind === 'refused') {
      this.#ownerOf.delete(call.shard);
      return this.#onRefused(call);
    }
    this.#close(call);
    this.#ownerOf.set(call.shard, machine);
    const operation = { ...(call.operation as RegisterOperation), return: this.#clock++, output: answer.output };
    this.#history.push(operation);
    this.#simulation.trace.mix(operation.client, answer.output);
    this.#checkKnown(operation);
    call.onEnd();
  }

  /** Nothing was done: elsewhere it may be. */
  #onRefused(call: Call): void {
    call.operation = undefined;
    call.tries += 1;
    if (call.tries < TRIES_MAX) {
      this.#later(this.#chance.between(0.5, 30), () => this.#attempt(call));
      return;
    }
    this.#close(call);
    this.#firstKey += this.#chance.isHit(0.02) ? 1 : 0;
    call.onEnd();
  }

  #giveUp(call: Call): void {
    if (call.isOver) return;
    this.#close(call);
    this.#ownerOf.delete(call.shard);
    const { operation } = call;
    // What was only to be read changes nothing, whenever it was read.
    if (operation !== undefined && operation.input.kind !== 'read') {
      this.#history.push(operation);
      const { key } = operation.input;
      const unknown = (this.#unknown.get(key) ?? 0) + 1;
      this.#unknown.set(key, unknown);
      if (unknown >= UNKNOWN_MAX) this.#firstKey += 1;
    }
    call.onEnd();
  }

  #close(call: Call): void {
    call.isOver = true;
    this.#open.delete(call);
  }

  #inputOf({ kind }: Call, key: string): RegisterInput {
    if (kind === 'read') return { kind, key };
    this.#lastValue += 1;
    const value = this.#lastValue;
    // Mostly what was read last, so that some exchanges find what they expect.
    return kind === 'write' ? { kind, key, value } : { kind, key, value, expected: this.#lastRead.get(key) ?? 0 };
  }

  #noteWritten(key: string, value: number): void {
    const values = this.#written.get(key) ?? new Set<number>();
    this.#written.set(key, values.add(value));
  }

  /** No phantoms: what is read was written, to this register. */
  #checkKnown({ input, output, client }: RegisterOperation): void {
    if (output === undefined || output === EMPTY_REGISTER) return;
    this.#lastRead.set(input.key, output);
    if (this.#written.get(input.key)?.has(output) !== true)
      throw new Violation(`LIN: client ${client} was told ${output} of ${input.key}, which nobody wrote`);
  }

  #later(delayMs: number, act: () => void): void {
    this.#simulation.at(this.#simulation.now + delayMs, act);
  }
}
