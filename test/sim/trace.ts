/** What happened: a rolling hash of everything (two runs of one seed must end with the same, I-32), and the newest lines as text. */

const RECENT_MAX = 400;

export class Trace {
  readonly #recent: string[] = [];
  readonly #print: ((line: string) => void) | undefined;
  /** Packets and writes are told as well. */
  readonly isVerbose: boolean;
  readonly counts: Map<string, number> = new Map();
  #low = 0x811c9dc5;
  #high = 0x9747b28c;
  events = 0;

  /** `print` hears every line as it comes. */
  constructor(print?: (line: string) => void, isVerbose = false) {
    this.#print = print;
    this.isVerbose = isVerbose;
  }

  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0');
  }

  get recent(): readonly string[] {
    return this.#recent;
  }

  mix(a: number, b: number): void {
    this.events += 1;
    this.#low = Math.imul(this.#low ^ a, 0x01000193) ^ (this.#high >>> 13);
    this.#high = Math.imul(this.#high ^ b ^ (this.#low >>> 7), 0x85ebca6b);
  }

  /** Length, head and tail: enough to tell two runs apart, cheap enough for every packet. */
  mixBytes(kind: number, bytes: Uint8Array): void {
    const { length } = bytes;
    let sum = length;
    for (let i = 0; i < length; i += 1 + (length >> 5)) sum = Math.imul(sum ^ (bytes[i] as number), 0x01000193);
    this.mix(kind, sum);
  }

  line(at: number, text: string): void {
    const line = `${at.toFixed(2).padStart(11)} ${text}`;
    if (this.#recent.length >= RECENT_MAX) this.#recent.shift();
    this.#recent.push(line);
    this.#print?.(line);
  }

  count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }
}
