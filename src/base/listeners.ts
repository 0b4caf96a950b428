/** Who wants to hear of a change. Adding and removing is safe at any time, from within a listener too. */
export class Listeners<Arguments extends readonly unknown[] = []> {
  readonly #all: Set<{ readonly listener: (...args: Arguments) => void }> = new Set();

  get size(): number {
    return this.#all.size;
  }

  /** Returns the function that ends it; one listener added twice is called twice. */
  add(listener: (...args: Arguments) => void): () => void {
    const entry = { listener };
    this.#all.add(entry);
    return () => this.#all.delete(entry);
  }

  /** Calls those that are there now and still there when it is their turn. One that throws keeps none from hearing; the first error is thrown in the end. */
  call(...args: Arguments): void {
    const errors: unknown[] = [];
    for (const entry of [...this.#all]) {
      if (!this.#all.has(entry)) continue;
      try {
        entry.listener(...args);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  clear(): void {
    this.#all.clear();
  }
}
