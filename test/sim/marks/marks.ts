/**
 * In how many seeds each block of the cores ran. Every block is a mark: the code itself carries none (reliability.md 6). V8 tells of a block
 * only where its count differs from what is around it, so counts are kept for each character, and blocks are where they change.
 */
import type { BlockRange, ScriptCoverage } from './block-coverage.ts';

/** From where it begins in the built file to where it ends. */
export interface Block {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly seeds: number;
}

class Script {
  readonly #seeds: Uint32Array;
  readonly #isRunning: Uint8Array;
  /** Inside of a function; what stands outside runs once, when it is loaded. */
  readonly #isMarked: Uint8Array;
  readonly #starts: Set<number> = new Set();
  readonly #ends: Set<number> = new Set();

  constructor(length: number) {
    this.#seeds = new Uint32Array(length);
    this.#isRunning = new Uint8Array(length);
    this.#isMarked = new Uint8Array(length);
  }

  /** What ran while it was loaded is no mark. */
  load({ functions }: ScriptCoverage): void {
    this.#paint(functions);
    for (const { ranges } of functions) {
      const whole = ranges[0] as BlockRange;
      if (whole.startOffset > 0) this.#isMarked.fill(1, whole.startOffset, whole.endOffset);
    }
    for (let at = 0; at < this.#isMarked.length; at++) if (this.#isRunning[at] === 1) this.#isMarked[at] = 0;
  }

  add({ functions }: ScriptCoverage): void {
    this.#paint(functions);
    for (let at = 0; at < this.#seeds.length; at++) (this.#seeds[at] as number) += this.#isRunning[at] as number;
  }

  blocks(path: string): Block[] {
    const edges = [...new Set([...this.#starts, ...this.#ends])].sort((a, b) => a - b);
    const blocks: Block[] = [];
    for (const [place, start] of edges.entries()) {
      const end = edges[place + 1];
      if (end === undefined || this.#isMarked[start] === 0) continue;
      const seeds = this.#seeds[start] as number;
      const before = blocks.at(-1);
      const isSame = before?.end === start && before.seeds === seeds;
      if (isSame) blocks[blocks.length - 1] = { path, start: before.start, end, seeds };
      // What follows an inner block is a part of the outer one.
      else if (this.#starts.has(start)) blocks.push({ path, start, end, seeds });
    }
    return blocks;
  }

  /** Inner functions and blocks after those around them. */
  #paint(functions: ScriptCoverage['functions']): void {
    this.#isRunning.fill(0);
    const begin = ({ ranges }: ScriptCoverage['functions'][number]): number => ranges[0]?.startOffset ?? 0;
    for (const { ranges } of functions.toSorted((a, b) => begin(a) - begin(b)))
      for (const { startOffset, endOffset, count } of ranges) {
        this.#isRunning.fill(count > 0 ? 1 : 0, startOffset, endOffset);
        this.#starts.add(startOffset);
        this.#ends.add(endOffset);
      }
  }
}

export class Marks {
  readonly #scripts: Map<string, Script> = new Map();
  seeds = 0;

  /** What a process loaded; each that runs seeds tells of it once. */
  load(coverage: readonly ScriptCoverage[]): void {
    for (const script of coverage) {
      if (this.#scripts.has(script.path)) continue;
      const kept = new Script(Math.max(...script.functions.map(({ ranges }) => ranges[0]?.endOffset ?? 0)));
      kept.load(script);
      this.#scripts.set(script.path, kept);
    }
  }

  /** What one seed ran. */
  add(coverage: readonly ScriptCoverage[]): void {
    this.seeds += 1;
    for (const script of coverage) this.#scripts.get(script.path)?.add(script);
  }

  blocks(): Block[] {
    return [...this.#scripts].flatMap(([path, script]) => script.blocks(path));
  }
}
