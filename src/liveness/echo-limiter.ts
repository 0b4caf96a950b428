/**
 * How many echoes one source gets in a second. A forged packet can set two echo endpoints upon each other; such an exchange
 * holds one packet in flight and dies with the first one that is not answered. Sources share a fixed number of buckets, so
 * a flood of invented sources neither takes memory nor keeps the known ones from their echo.
 */
import type { MonotonicMs } from '../base/machine.ts';

const BUCKETS = 4_096;
const WINDOW_MS = 1_000;

export class EchoLimiter {
  readonly #perSourceMax: number;
  readonly #counts: Uint16Array = new Uint16Array(BUCKETS);
  #windowEnd: MonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(perSourceMax: number) {
    this.#perSourceMax = perSourceMax;
  }

  /** Counts one echo to `source`; false when it has had enough in this second. */
  admit(source: string, now: MonotonicMs): boolean {
    if (now >= this.#windowEnd) {
      this.#counts.fill(0);
      this.#windowEnd = now + WINDOW_MS;
    }
    const bucket = bucketOf(source);
    const count = this.#counts[bucket] ?? 0;
    if (count >= this.#perSourceMax) return false;
    this.#counts[bucket] = count + 1;
    return true;
  }
}

/** FNV-1a (Fowler, Noll, Vo). */
function bucketOf(source: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < source.length; i++) hash = Math.imul(hash ^ source.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % BUCKETS;
}
