/** Drives one Sharding by hand: explicit clock, effects gathered by kind, a leader that is one in a single step. */
import { SeededRandom } from '../../src/base/random.ts';
import type { Boot, LogIndex, NodeId, ShardId, Term } from '../../src/model/ids.ts';
import { type ShardingConfig, shardingConfig } from '../../src/sharding/config.ts';
import type {
  LeaseMessage,
  LeaseRenew,
  ShardCommand,
  ShardingEffect,
  ShardingEvent,
  ShardingInput,
} from '../../src/sharding/messages.ts';
import { Sharding } from '../../src/sharding/sharding.ts';

export const index = (value: number): LogIndex => value as LogIndex;
export const node = (value: string): NodeId => value as NodeId;
export const boot = (value: number): Boot => value as Boot;
export const shard = (value: number): ShardId => value as ShardId;

type Kind = ShardingEffect['kind'];
type Of<K extends Kind> = Extract<ShardingEffect, { kind: K }>;
type Leadership = Extract<ShardingInput, { kind: 'leadership' }>;

export interface RigOptions {
  readonly node?: string;
  readonly boot?: number;
  readonly dirLocked?: boolean;
  readonly now?: number;
  readonly config?: Partial<ShardingConfig>;
}

export class Rig {
  readonly machine: Sharding;
  readonly id: NodeId;
  readonly boot: Boot;
  now: number;
  /** Of the last step or tick. */
  effects: ShardingEffect[] = [];
  /** The newest append that has not been applied. */
  #unapplied: ShardCommand | undefined;
  /** Every event so far. */
  readonly told: ShardingEvent[] = [];
  #term = 1 as Term;
  #last = 0;

  constructor(options: RigOptions = {}) {
    this.id = node(options.node ?? 'a');
    this.boot = boot(options.boot ?? 1);
    this.now = options.now ?? 1_000;
    this.machine = new Sharding(
      shardingConfig({ shardCount: 6, ...options.config }),
      { node: this.id, boot: this.boot, dirLocked: options.dirLocked ?? true },
      new SeededRandom(1),
      this.now,
    );
  }

  get lastIndex(): LogIndex {
    return index(this.#last);
  }

  step(input: ShardingInput): this {
    this.effects = [];
    this.machine.step(input, this.now, this.effects);
    this.machine.check();
    this.#note();
    return this;
  }

  /** Lets time pass, acting on every deadline on the way. All effects are kept. */
  pass(ms: number): this {
    const end = this.now + ms;
    const gathered: ShardingEffect[] = [];
    for (let turns = 0; this.machine.nextDeadline() <= end; turns++) {
      if (turns > 10_000) throw new Error('deadlines do not move on');
      this.now = Math.max(this.now, this.machine.nextDeadline());
      this.machine.tick(this.now, gathered);
      this.machine.check();
    }
    this.now = end;
    this.effects = gathered;
    this.#note();
    return this;
  }

  of<K extends Kind>(kind: K): Of<K>[] {
    return this.effects.filter((effect): effect is Of<K> => effect.kind === kind);
  }

  events<K extends ShardingEvent['kind']>(kind: K): Extract<ShardingEvent, { kind: K }>[] {
    return this.of('notify').flatMap(({ event }) =>
      event.kind === kind ? [event as Extract<ShardingEvent, { kind: K }>] : [],
    );
  }

  /** Renewals that left in the last step. */
  renewals(): LeaseRenew[] {
    return this.of('sendToLeader').flatMap(({ message }) => (message.kind === 'renew' ? [message] : []));
  }

  /** Answers that left in the last step. */
  answers(): LeaseMessage[] {
    return this.of('sendToHolder').map(({ message }) => message);
  }

  appended(): ShardCommand[] {
    return this.of('append').map(({ command }) => command);
  }

  receive(message: LeaseMessage): this {
    return this.step({ kind: 'received', message });
  }

  /** What a holder of this name would send. Numbers rise by themselves. */
  renewal(from: string, fields: Partial<LeaseRenew> = {}): LeaseRenew {
    this.#seq += 1;
    return {
      kind: 'renew',
      node: node(from),
      boot: boot(1),
      seq: this.#seq,
      appliedIndex: index(this.#last),
      releasedVersion: index(0),
      dirLocked: false,
      wantsShards: true,
      answeredTerm: 0 as Term,
      answeredSeq: 0,
      ...fields,
    };
  }
  #seq = 0;

  hear(from: string, fields: Partial<LeaseRenew> = {}): this {
    return this.receive(this.renewal(from, fields));
  }

  /** Leader of `term`, ready unless said otherwise, with a lease that does not end by itself. */
  lead(fields: Partial<Leadership> & { readonly leaseUntil?: number } = {}): this {
    const { leaseUntil, ...rest } = fields;
    this.#term = rest.term ?? ((this.#term + 1) as Term);
    this.step({ kind: 'leaderLease', until: leaseUntil ?? this.now + 1_000_000 });
    this.step({ kind: 'logSettled', settled: true });
    return this.step({
      kind: 'leadership',
      isLeader: true,
      isReady: true,
      electedAt: this.now,
      restedOnLease: undefined,
      predecessor: undefined,
      ...rest,
      term: this.#term,
    });
  }

  becomeReady(electedAt: number, fields: Partial<Leadership> = {}): this {
    return this.step({
      kind: 'leadership',
      isLeader: true,
      isReady: true,
      electedAt,
      restedOnLease: undefined,
      predecessor: undefined,
      ...fields,
      term: this.#term,
    });
  }

  follow(leader: string): this {
    const term = this.#term;
    this.step({
      kind: 'leadership',
      isLeader: false,
      isReady: false,
      term,
      electedAt: 0,
      restedOnLease: undefined,
      predecessor: undefined,
    });
    return this.step({ kind: 'leaderKnown', leader: node(leader), term });
  }

  get term(): Term {
    return this.#term;
  }

  /** The log hands this command over at the next index. */
  apply(command: ShardCommand): this {
    this.#last += 1;
    this.#unapplied = undefined;
    return this.step({ kind: 'applied', index: index(this.#last), term: command.term, command });
  }

  /** Applies what was last asked to append, and says what it was. */
  applyAppended(): ShardCommand {
    const command = this.#unapplied;
    if (command === undefined) throw new Error('nothing was appended');
    this.apply(command);
    return command;
  }

  get unapplied(): ShardCommand | undefined {
    return this.#unapplied;
  }

  /** Nodes that were said to be gone, in order. */
  gone(): string[] {
    return this.told.flatMap((event) => (event.kind === 'holderGone' ? [`${event.node}${event.boot}`] : []));
  }

  #note(): void {
    for (const effect of this.effects) {
      if (effect.kind === 'append') this.#unapplied = effect.command;
      if (effect.kind === 'notify') this.told.push(effect.event);
    }
  }

  propose(owners: readonly (readonly [string, number])[], ownerOf: readonly number[], term: Term = this.#term): this {
    return this.apply(proposal(owners, ownerOf, term));
  }

  commit(version: number = this.#last, term: Term = this.#term): this {
    return this.apply({ kind: 'shardCommit', term, version: index(version) });
  }

  /** A grant for the renewal that left last. */
  /** By the same clock, unless the leader's says something else. */
  grantFor(renew: LeaseRenew, leaderNow: number = this.now): this {
    const { node: holder, boot: itsBoot, seq } = renew;
    return this.receive({ kind: 'grant', node: holder, boot: itsBoot, seq, term: this.#term, leaderNow });
  }

  served(): number[] {
    const count = this.machine.activeMap()?.shardCount ?? 6;
    return Array.from({ length: count }, (_, i) => i).filter((i) => this.machine.serving(shard(i)) !== undefined);
  }

  holdsLease(): boolean {
    return this.now < this.machine.leaseUntil;
  }

  /** Owners of the active map by shard. */
  owners(): string {
    const map = this.machine.activeMap();
    return map === undefined ? '' : Array.from(map.ownerOf, (owner) => map.owners[owner]?.node ?? '?').join('');
  }
}

export function proposal(
  owners: readonly (readonly [string, number])[],
  ownerOf: readonly number[],
  term: Term = 1 as Term,
): ShardCommand {
  return {
    kind: 'shardPropose',
    term,
    shardCount: ownerOf.length,
    owners: owners.map(([name, itsBoot], i) => ({ node: node(name), boot: boot(itsBoot), workerId: i + 2 })),
    ownerOf: Uint16Array.from(ownerOf),
  };
}

/** Who gets what of a proposal, as one letter per shard. */
export function ownersOf(command: ShardCommand | undefined): string {
  if (command?.kind !== 'shardPropose') return '';
  return Array.from(command.ownerOf, (owner) => command.owners[owner]?.node ?? '?').join('');
}

export const AB = [
  ['a', 1],
  ['b', 1],
] as const;

/** Leads; the map gives `a` and `b` three of six shards each, and `b` renews. */
export function leaderOfTwo(config: RigOptions['config'] = {}): Rig {
  const rig = new Rig({ config });
  rig.propose(AB, [0, 0, 0, 1, 1, 1]).commit();
  return rig.lead().hear('b');
}
