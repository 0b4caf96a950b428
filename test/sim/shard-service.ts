/**
 * The application on every node: serves one register per shard from memory while it owns the shard, and writes through to the guarded
 * store under its epoch. It does what docs/ownership.md tells an application to do, and no more: its reads are as good as the lease.
 */
import type { ShardId } from '../../src/model/ids.ts';
import type { Chance } from './chance.ts';
import type { GuardedStore } from './guarded-store.ts';
import type { RegisterInput } from './history/register.ts';
import type { NetworkHost } from './network.ts';
import type { SimulatedProcess } from './process.ts';

export type ServiceAnswer =
  | { readonly kind: 'done'; readonly output: number }
  /** Nothing was done and nothing will be: not the owner, busy with another, or fenced off. */
  | { readonly kind: 'refused' };

interface Held {
  readonly key: string;
  readonly epoch: number;
  value: number;
  isLoading: boolean;
  isWriting: boolean;
}

const REFUSED: ServiceAnswer = { kind: 'refused' };

/** The name of the register that the process would serve for `shard`. */
export function registerOf(process: SimulatedProcess, shard: ShardId): string {
  return `${process.cluster.clusterId}/${shard}`;
}

export class ShardService {
  readonly #store: GuardedStore;
  readonly #host: NetworkHost;
  readonly #chance: Chance;
  /** This part of what is asked of the store takes up to three seconds. */
  #lateness: number;
  readonly #held: WeakMap<SimulatedProcess, Map<ShardId, Held>> = new WeakMap();

  constructor(store: GuardedStore, host: NetworkHost, way: { readonly chance: Chance; readonly lateness: number }) {
    this.#store = store;
    this.#host = host;
    this.#chance = way.chance;
    this.#lateness = way.lateness;
  }

  /** From now on the store answers at once. */
  calm(): void {
    this.#lateness = 0;
  }

  serve(
    process: SimulatedProcess,
    shard: ShardId,
    input: RegisterInput,
    answer: (answer: ServiceAnswer) => void,
  ): void {
    // Tokens are comparable within one cluster alone, and a node that dissolves its cluster begins anew in another.
    const isOurs = input.key === registerOf(process, shard);
    const epoch = isOurs && process.owns(shard) ? process.cluster.serving(shard) : undefined;
    if (epoch === undefined) return answer(REFUSED);
    const shards = this.#held.get(process) ?? new Map<ShardId, Held>();
    this.#held.set(process, shards);
    const held = shards.get(shard);
    if (held === undefined || held.epoch !== epoch || held.key !== input.key) {
      const fresh: Held = { key: input.key, epoch, value: 0, isLoading: true, isWriting: false };
      shards.set(shard, fresh);
      this.#load(process, shard, fresh, { input, answer });
    } else if (held.isLoading || (held.isWriting && input.kind !== 'read')) answer(REFUSED);
    else this.#apply(process, shard, held, { input, answer });
  }

  #load(process: SimulatedProcess, shard: ShardId, held: Held, asked: Asked): void {
    let value: number | undefined;
    this.#atStore(
      process,
      () => {
        value = this.#store.open(asked.input.key, held.epoch);
      },
      () => {
        const shards = this.#held.get(process);
        if (value === undefined || shards?.get(shard) !== held) {
          if (shards?.get(shard) === held) shards.delete(shard);
          return asked.answer(REFUSED);
        }
        held.value = value;
        held.isLoading = false;
        this.serve(process, shard, asked.input, asked.answer);
      },
    );
  }

  #apply(process: SimulatedProcess, shard: ShardId, held: Held, { input, answer }: Asked): void {
    const before = held.value;
    if (input.kind === 'read') return answer({ kind: 'done', output: before });
    if (input.kind === 'exchange' && before !== input.expected) return answer({ kind: 'done', output: before });
    held.isWriting = true;
    let isWritten = false;
    this.#atStore(
      process,
      () => {
        isWritten = this.#store.write(input.key, held.epoch, input.value);
      },
      () => {
        held.isWriting = false;
        const shards = this.#held.get(process);
        if (isWritten) held.value = input.value;
        else if (shards?.get(shard) === held) shards.delete(shard);
        answer(isWritten ? { kind: 'done', output: input.kind === 'write' ? input.value : before } : REFUSED);
      },
    );
  }

  /** Some of its work is still on the way when the node has long lost the shard. */
  #atStore(process: SimulatedProcess, act: () => void, then: () => void): void {
    const delay = (): number => this.#chance.between(0.05, this.#chance.isHit(this.#lateness) ? 3_000 : 2);
    this.#host.at(this.#host.now + delay(), () => {
      act();
      this.#host.at(this.#host.now + delay(), () => process.whenRunning(then));
    });
  }
}

interface Asked {
  readonly input: RegisterInput;
  readonly answer: (answer: ServiceAnswer) => void;
}
