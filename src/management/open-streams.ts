/** The streams that are open now: counted, limited, and ended when the server stops, which would else wait for them. */

/** More than this many at once is refused. */
export const STREAMS_MAX = 256;

export interface EndableStream {
  end(): void;
}

export class OpenStreams {
  readonly #open = new Set<EndableStream>();
  readonly #max: number;

  constructor(max: number = STREAMS_MAX) {
    this.#max = max;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Lets a stream in and returns the function that lets it out; undefined when there is no room. */
  enter(stream: EndableStream): (() => void) | undefined {
    if (this.#open.size >= this.#max) return undefined;
    this.#open.add(stream);
    return () => this.#open.delete(stream);
  }

  endAll(): void {
    for (const stream of [...this.#open]) stream.end();
    this.#open.clear();
  }
}
