/** The echo side of the liveness check as a thing of its own, for programs that are no node. */
import { isIP } from 'node:net';
import { DEFAULT_LIVENESS_CONFIG } from '../liveness/config.ts';
import { LivenessSettingsError } from '../liveness/errors.ts';
import { formatEndpoint, parseEndpoint, type Endpoint } from '../model/endpoint.ts';
import { LivenessShell } from './liveness-shell.ts';

/**
 * Sends every short UDP packet back to whoever sent it, as long as this process runs. It says that the machine and the
 * event loop are there, nothing of the health of what runs on them. Answers the checkers of funknode and of clusterfunk.
 */
export class LivenessEndpoint implements AsyncDisposable {
  /** Where it listens; the port is the bound one. */
  readonly local: Endpoint;
  readonly #shell: LivenessShell;

  private constructor(shell: LivenessShell, local: Endpoint) {
    this.#shell = shell;
    this.local = local;
  }

  /**
   * Listens at `endpoint`: an IP address and a port, 0 for any free one. Rejects with {@link LivenessSettingsError} when
   * it is neither or cannot be bound; then nothing is left open.
   */
  static async start(endpoint: Endpoint | string): Promise<LivenessEndpoint> {
    const at = typeof endpoint === 'string' ? parseEndpoint(endpoint) : endpoint;
    if (at === undefined || isIP(at.host) === 0) {
      throw new LivenessSettingsError(`a liveness endpoint is an IP address and a port, not ${shown(endpoint)}`);
    }
    const shell = new LivenessShell(DEFAULT_LIVENESS_CONFIG, () => undefined);
    try {
      return new LivenessEndpoint(shell, await shell.open(at));
    } catch (cause) {
      throw new LivenessSettingsError(`cannot listen for liveness checks at ${formatEndpoint(at)}`, { cause });
    }
  }

  /** Stops answering; resolves when the port is free again. Calling it twice is harmless. */
  stop(): Promise<void> {
    return this.#shell.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function shown(endpoint: Endpoint | string): string {
  return typeof endpoint === 'string' ? `"${endpoint}"` : formatEndpoint(endpoint);
}
