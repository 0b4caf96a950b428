/**
 * Whom a leader has heard: per node the boot that it accepts as the holder of that name, and at most one other that claims the name.
 * docs/ownership.md O-10, O-13. Memory of one leadership; a new leader starts with none.
 */
import type { Boot, LogIndex, NodeId, Term } from '../model/ids.ts';
import type { LeaseRenew } from '../wire/sharding/lease.ts';
import type { OwnerPair } from './rules.ts';

/** Nodes of one cluster that may hold leases; bounds what strangers can make a leader remember. */
export const HOLDERS_MAX = 5_000;
/** Processes known to have ended. Forgetting one costs its shards a wait, no more. */
const ENDED_MAX = 4_096;

/** One process that renews. */
export interface Holder {
  readonly node: NodeId;
  readonly boot: Boot;
  seq: number;
  heardAt: number;
  appliedIndex: LogIndex;
  releasedVersion: LogIndex;
  dirLocked: boolean;
  wantsShards: boolean;
  /** The record of O-10; undefined before the first grant. */
  grantedAt: number | undefined;
  /** It was alive after this instant: it has seen an answer that was given then. -Infinity before any proof. */
  livedAfter: number;
  /** The answer whose echo would be the next proof. */
  awaited: { readonly seq: number; readonly at: number } | undefined;
  /** The newest renewal that could not be granted yet (O-9); of a claimant, its newest. */
  kept: LeaseRenew | undefined;
}

/** What a renewal turned out to be. */
export type Heard =
  | { readonly kind: 'holder' | 'claimant'; readonly holder: Holder; readonly isNew: boolean }
  /** An old copy, a process that has ended, or one too many. */
  | { readonly kind: 'ignored' };

const IGNORED: Heard = { kind: 'ignored' };

export class Holders {
  readonly #accepted: Map<NodeId, Holder> = new Map();
  readonly #claimants: Map<NodeId, Holder> = new Map();
  readonly #ended: Set<string> = new Set();
  readonly #term: Term;

  constructor(term: Term) {
    this.#term = term;
  }

  get(node: NodeId): Holder | undefined {
    return this.#accepted.get(node);
  }

  /** The accepted holder, when it is this very process. */
  find(pair: OwnerPair): Holder | undefined {
    const holder = this.#accepted.get(pair.node);
    return holder?.boot === pair.boot ? holder : undefined;
  }

  claimantOf(node: NodeId): Holder | undefined {
    return this.#claimants.get(node);
  }

  accepted(): Iterable<Holder> {
    return this.#accepted.values();
  }

  claimed(): Iterable<Holder> {
    return this.#claimants.values();
  }

  /** O-10: a `seq` that is not above the last one is an old copy. O-13: the first boot of a node is its holder. */
  hear(renew: LeaseRenew, now: number): Heard {
    if (this.hasEnded(renew)) return IGNORED;
    const accepted = this.#accepted.get(renew.node);
    if (accepted === undefined && this.#accepted.size >= HOLDERS_MAX) return IGNORED;
    const isAccepted = accepted === undefined || accepted.boot === renew.boot;
    const rows = isAccepted ? this.#accepted : this.#claimants;
    let holder = rows.get(renew.node);
    const isNew = holder?.boot !== renew.boot;
    if (holder === undefined || isNew) {
      holder = newHolder(renew);
      rows.set(renew.node, holder);
    } else if (renew.seq <= holder.seq) {
      return IGNORED;
    }
    holder.seq = renew.seq;
    holder.heardAt = now;
    holder.appliedIndex = renew.appliedIndex;
    if (renew.releasedVersion > holder.releasedVersion) holder.releasedVersion = renew.releasedVersion;
    holder.dirLocked = renew.dirLocked;
    holder.wantsShards = renew.wantsShards;
    this.#prove(holder, renew);
    return { kind: isAccepted ? 'holder' : 'claimant', holder, isNew };
  }

  /** An answer to `seq` leaves in this step; its echo will prove that the process lived after it. */
  answered(holder: Holder, seq: number, now: number): void {
    holder.awaited ??= { seq, at: now };
  }

  /** The process will never serve again: it said so, or its lock is another's now. */
  end(pair: OwnerPair): void {
    this.#ended.add(keyOf(pair));
    if (this.#ended.size > ENDED_MAX) {
      for (const oldest of this.#ended) {
        this.#ended.delete(oldest);
        break;
      }
    }
    if (this.find(pair) !== undefined) this.#accepted.delete(pair.node);
    if (this.#claimants.get(pair.node)?.boot === pair.boot) this.#claimants.delete(pair.node);
  }

  hasEnded(pair: OwnerPair): boolean {
    return this.#ended.has(keyOf(pair));
  }

  /** The claimant takes the name over from a boot that is gone. */
  accept(claimant: Holder): void {
    this.#claimants.delete(claimant.node);
    this.#accepted.set(claimant.node, claimant);
  }

  /** Nothing hangs on this process any more. */
  forget(holder: Holder): void {
    if (this.#accepted.get(holder.node) === holder) this.#accepted.delete(holder.node);
  }

  #prove(holder: Holder, renew: LeaseRenew): void {
    const awaited = holder.awaited;
    if (awaited === undefined || renew.answeredTerm !== this.#term || renew.answeredSeq < awaited.seq) return;
    holder.livedAfter = awaited.at;
    holder.awaited = undefined;
  }
}

function newHolder(renew: LeaseRenew): Holder {
  return {
    node: renew.node,
    boot: renew.boot,
    seq: 0,
    heardAt: 0,
    appliedIndex: renew.appliedIndex,
    releasedVersion: 0 as LogIndex,
    dirLocked: renew.dirLocked,
    wantsShards: renew.wantsShards,
    grantedAt: undefined,
    livedAfter: Number.NEGATIVE_INFINITY,
    awaited: undefined,
    kept: undefined,
  };
}

function keyOf(pair: OwnerPair): string {
  return `${pair.node} ${pair.boot}`;
}
