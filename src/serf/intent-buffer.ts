/** Intents about members that have not appeared yet: gossip may bring word of a leave before the member. wire-gossip.md 14.5. */
import { assert } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';

export interface BufferedIntent {
  readonly kind: 'join' | 'leave';
  readonly lamportTime: number;
  readonly at: MonotonicMs;
}

export class IntentBuffer {
  readonly #entriesMax: number;
  /** By member name, the longest untouched first. */
  readonly #intents: Map<string, BufferedIntent> = new Map();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#intents.size;
  }

  get(name: string): BufferedIntent | undefined {
    return this.#intents.get(name);
  }

  /** Keeps the intent if it is later than the one held; answers whether it was kept. */
  offer(name: string, intent: BufferedIntent): boolean {
    const held = this.#intents.get(name);
    if (held !== undefined && intent.lamportTime <= held.lamportTime) return false;
    this.#intents.delete(name);
    this.#intents.set(name, intent);
    if (this.#intents.size > this.#entriesMax) {
      const oldest = this.#intents.keys().next();
      if (!oldest.done) this.#intents.delete(oldest.value);
    }
    return true;
  }

  forgetBefore(at: MonotonicMs): void {
    for (const [name, intent] of this.#intents) if (intent.at < at) this.#intents.delete(name);
  }

  check(): void {
    assert(this.#intents.size <= this.#entriesMax, 'the intent buffer keeps its limit');
  }
}
