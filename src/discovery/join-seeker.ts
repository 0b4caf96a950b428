/** Resolves what `--join` names and tells the node, again and again until somebody else is there: it retries for ever. */
import type { Logger } from '../ports/logger.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { resolveJoin } from './resolve-join.ts';

const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

export class JoinSeeker {
  readonly #handle: NodeHandle;
  readonly #names: readonly string[];
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(handle: NodeHandle, names: readonly string[], logger: Logger) {
    this.#handle = handle;
    this.#names = names;
    this.#logger = logger;
  }

  start(): void {
    void this.#seek(RETRY_MIN_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #seek(retryMs: number): Promise<void> {
    const { endpoints, failures } = await resolveJoin(this.#names);
    if (this.#isStopped) return;
    for (const text of failures) this.#logger.log('warn', 'join', { text });
    if (endpoints.length > 0) this.#handle.discovered({ gossip: endpoints, searched: false });
    const isAlone = this.#handle.view().members.filter((member) => member.status === 'alive').length <= 1;
    if (!isAlone && failures.length === 0) return;
    this.#timer = setTimeout(() => void this.#seek(Math.min(retryMs * 2, RETRY_MAX_MS)), retryMs);
  }
}
