/**
 * Who founds the cluster, when nobody has. Every undecided node watches the set of undecided nodes; once it is stable the
 * smallest id founds and the others are added by it (product.md, How a cluster starts; raft.md 9.5).
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { NodeId } from '../model/ids.ts';

/** Nobody new for this long: the set is stable. */
const STABLE_MS = 500;
/** The next in line founds when those before it have not, each after this much longer: one of them may not be allowed to. */
const PATIENCE_PER_RANK_MS = 3_000;

export interface FoundingMode {
  /** `--zeroconf`: the whole neighbourhood was searched. */
  readonly isZeroconf: boolean;
  /** `--bootstrap`: found at once. */
  readonly isBootstrap: boolean;
  /** `--bootstrap-expect N`; 0 when it was not given. */
  readonly expect: number;
}

export interface FoundingFacts {
  readonly self: NodeId;
  /** Alive, voter-capable members of our name without a cluster id, ourselves included. */
  readonly undecided: readonly NodeId[];
  /** The search has run long enough, and everybody it found was asked to join gossip. */
  readonly isSearched: boolean;
}

export class Founding {
  readonly #mode: FoundingMode;
  #seen = '';
  #stableSince: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(mode: FoundingMode) {
    this.#mode = mode;
  }

  /** Whether this node ever founds by itself. */
  get mayFound(): boolean {
    return this.#mode.isBootstrap || this.#mode.isZeroconf || this.#mode.expect > 0;
  }

  get isBootstrap(): boolean {
    return this.#mode.isBootstrap;
  }

  get expect(): number {
    return this.#mode.expect;
  }

  /** True: found now. Otherwise ask again at `nextDeadline` or when something changed. */
  evaluate(facts: FoundingFacts, now: MonotonicMs): boolean {
    if (this.#mode.isBootstrap) return true;
    const ranked = [...facts.undecided].sort();
    const seen = ranked.join(' ');
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#stableSince = now;
    }
    const rank = ranked.indexOf(facts.self);
    const patience = rank * PATIENCE_PER_RANK_MS;
    if (this.#mode.expect > 0) return ranked.length >= this.#mode.expect && now - this.#stableSince >= patience;
    return this.#mode.isZeroconf && facts.isSearched && now - this.#stableSince >= STABLE_MS + patience;
  }
}
