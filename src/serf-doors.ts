/** What a node shows to Serf's own tools beside gossip: the agent's RPC. Off unless it is asked for. */
import { resolveJoin } from './discovery/resolve-join.ts';
import type { NodeConfig } from './node-config.ts';
import type { Logger } from './ports/logger.ts';
import type { NodeHandle } from './runtime/node-handle.ts';
import { LogLines } from './serf-rpc/log-lines.ts';
import { createSerfRpcServer, type SerfRpcServer } from './serf-rpc/server.ts';

export class SerfDoors {
  readonly #config: NodeConfig;
  readonly #lines: LogLines;
  #rpc: SerfRpcServer | undefined;

  /** `wall`: Unix milliseconds, for the lines that monitors show. */
  constructor(config: NodeConfig, wall: () => number) {
    this.#config = config;
    this.#lines = new LogLines(wall);
  }

  /** A logger whose lines monitors see, too. */
  tee(room: string, logger: Logger): Logger {
    return this.#config.serfRpc === undefined ? logger : this.#lines.tee(room, logger);
  }

  /** Rejects with RpcBindError. `leave` begins the orderly stop of the node. */
  async listen(handle: NodeHandle, leave: () => void): Promise<void> {
    const { serfRpc, encrypt, keyringFile } = this.#config;
    if (serfRpc === undefined) return;
    this.#rpc = await createSerfRpcServer({
      handle,
      endpoint: serfRpc.bind,
      authKey: serfRpc.authKey,
      facts: { isEncrypted: encrypt !== undefined || keyringFile !== undefined, eventHandlers: [] },
      log: this.#lines,
      resolve: resolveJoin,
      leave,
    });
  }

  async close(): Promise<void> {
    await this.#rpc?.close();
  }
}
