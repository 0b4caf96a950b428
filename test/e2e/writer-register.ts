/**
 * A register that the owners of shards write to, as an application's store would be: it takes a write whose fencing token is at least the newest it
 * has seen, and counts those that it would have taken without looking. From what owners saw of themselves it also tells whether two ever owned at once.
 */

/** So many of 10,000 shards are written for: enough that every owner has some of them. */
export const WRITTEN_SHARDS = 50;

/** What a node saw of one ownership. Instants are of CLOCK_MONOTONIC, which all processes of a machine share, in milliseconds. */
export interface OwnedSpan {
  readonly node: string;
  readonly shard: number;
  readonly epoch: number;
  /** Right after the first yes of `owns`. */
  readonly firstAt: number;
  /** Right before the newest one. */
  readonly lastAt: number;
}

export interface RegisterFigures {
  readonly accepted: number;
  /** Refused: a newer token was known. Without the check they would have overwritten what a later owner wrote. */
  readonly stale: number;
  readonly ownerships: number;
}

export class WriterRegister {
  readonly #newest: Map<number, number> = new Map();
  readonly #spans: Map<string, OwnedSpan> = new Map();
  readonly #wrong: string[] = [];
  #accepted = 0;
  #stale = 0;

  /** One write. */
  write(span: OwnedSpan): void {
    const { shard, epoch, node } = span;
    const newest = this.#newest.get(shard) ?? 0;
    if (epoch < newest) this.#stale += 1;
    else {
      this.#accepted += 1;
      this.#newest.set(shard, epoch);
    }
    const key = `${shard} ${epoch}`;
    const known = this.#spans.get(key);
    if (known !== undefined && known.node !== node)
      this.#wrong.push(`shard ${shard} is of ${known.node} and of ${node} in one epoch, ${epoch}`);
    const firstAt = Math.min(known?.firstAt ?? span.firstAt, span.firstAt);
    this.#spans.set(key, { ...span, firstAt, lastAt: Math.max(known?.lastAt ?? span.lastAt, span.lastAt) });
  }

  figures(): RegisterFigures {
    return { accepted: this.#accepted, stale: this.#stale, ownerships: this.#spans.size };
  }

  /** Every proof that two owned one shard at one instant. */
  conflicts(): string[] {
    const found = [...this.#wrong];
    for (const spans of grouped(this.#spans.values()).values()) {
      const byEpoch = [...spans].sort((a, b) => a.epoch - b.epoch);
      for (const [i, older] of byEpoch.entries())
        for (const newer of byEpoch.slice(i + 1))
          if (newer.firstAt < older.lastAt)
            found.push(
              `shard ${older.shard}: ${newer.node} owns in epoch ${newer.epoch} from ${newer.firstAt.toFixed(3)}, ` +
                `${older.node} in ${older.epoch} still at ${older.lastAt.toFixed(3)}`,
            );
    }
    return found;
  }
}

function grouped(spans: Iterable<OwnedSpan>): Map<number, OwnedSpan[]> {
  const groups = new Map<number, OwnedSpan[]>();
  for (const span of spans) groups.set(span.shard, [...(groups.get(span.shard) ?? []), span]);
  return groups;
}
