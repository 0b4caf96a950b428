/** Which blocks of the cores ran since it was last asked: V8's own count. It must begin before the cores are loaded. */
import { Session } from 'node:inspector/promises';

export interface BlockRange {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

export interface ScriptCoverage {
  /** Below `dist/`. */
  readonly path: string;
  /** The first range of each function is the whole of it; further ones are blocks that ran more or less often than what is around them. */
  readonly functions: readonly { readonly functionName: string; readonly ranges: readonly BlockRange[] }[];
}

const BUILT: string = new URL('../../..', import.meta.url).href;
const ROOMS: readonly string[] = 'raft sharding cluster swim kv liveness serf etcd discovery'.split(' ');
const MARKED: readonly string[] = ROOMS.map((room) => `${BUILT}src/${room}/`);

export class BlockCoverage {
  readonly #session: Session = new Session();

  async begin(): Promise<void> {
    this.#session.connect();
    await this.#session.post('Profiler.enable');
    await this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  end(): void {
    this.#session.disconnect();
  }

  /** Counts begin at zero again. */
  async take(): Promise<ScriptCoverage[]> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    return result
      .filter(({ url }) => MARKED.some((room) => url.startsWith(room)))
      .map(({ url, functions }) => ({ path: url.slice(BUILT.length), functions }));
  }
}
