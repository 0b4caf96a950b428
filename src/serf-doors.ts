/** What a node shows to Serf's own tools and agents beside gossip: the agent's RPC, itself by their mDNS, and scripts for events. Off unless asked for. */
import { hostname } from 'node:os';
import { resolveJoin } from './discovery/resolve-join.ts';
import { SerfDiscover } from './discovery/serf-discover.ts';
import { AgentEvents } from './events/agent-events.ts';
import { HandlerScripts } from './events/handler-scripts.ts';
import type { AgentEventSource } from './model/agent-event.ts';
import { type Endpoint, sameEndpoint } from './model/endpoint.ts';
import type { NodeConfig } from './node-config.ts';
import type { Logger } from './ports/logger.ts';
import type { NodeHandle } from './runtime/node-handle.ts';
import { LogLines } from './serf-rpc/log-lines.ts';
import type { RpcStats } from './serf-rpc/rpc-host.ts';
import { createSerfRpcServer, type SerfRpcServer } from './serf-rpc/server.ts';

export class SerfDoors {
  readonly #config: NodeConfig;
  readonly #lines: LogLines;
  #rpc: SerfRpcServer | undefined;
  #discover: SerfDiscover | undefined;
  #scripts: HandlerScripts | undefined;
  #events: AgentEvents | undefined;
  #unsubscribe: (() => void) | undefined;

  /** `wall`: Unix milliseconds, for the lines that monitors show. */
  constructor(config: NodeConfig, wall: () => number) {
    this.#config = config;
    this.#lines = new LogLines(wall);
  }

  /** What the agent's RPC counts; undefined when it is off. */
  rpcStats(): RpcStats | undefined {
    return this.#rpc?.stats();
  }

  /** A logger whose lines monitors see, too. */
  tee(room: string, logger: Logger): Logger {
    return this.#config.serfRpc === undefined ? logger : this.#lines.tee(room, logger);
  }

  /** Runs the operator's scripts from now on. */
  handleEvents(handle: NodeHandle, logger: Logger): void {
    const { eventHandlers: specs } = this.#config;
    const events = specs.length > 0 ? this.#eventsOf(handle) : undefined;
    if (events !== undefined) this.#scripts = new HandlerScripts({ handle, specs, logger, events });
  }

  /** Rejects with RpcBindError. `leave` begins the orderly stop of the node. */
  async listen(handle: NodeHandle, leave: () => void): Promise<void> {
    const { serfRpc } = this.#config;
    if (serfRpc === undefined) return;
    this.#rpc = await createSerfRpcServer({
      handle,
      endpoint: serfRpc.bind,
      authKey: serfRpc.authKey,
      events: this.#eventsOf(handle),
      facts: { eventHandlers: this.#config.eventHandlers.map(({ text }) => text) },
      log: this.#lines,
      resolve: resolveJoin,
      leave,
    });
  }

  /** Looks for Serf agents by mDNS from now on, and is found. Rejects with DiscoveryError. */
  async discover(handle: NodeHandle, endpoint: Endpoint, logger: Logger): Promise<void> {
    const { serfDiscover: name, interface: on } = this.#config;
    if (name === undefined) return;
    this.#discover = new SerfDiscover({
      interface: on,
      name,
      node: handle.view().id,
      host: hostname(),
      endpoint,
      join: (endpoints) => handle.join(endpoints),
      isMember: (at) =>
        handle.view().members.some(({ status, address }) => status === 'alive' && sameEndpoint(address, at)),
      onWarning: (text) => logger.log('warn', 'serfDiscover', { text }),
    });
    await this.#discover.start();
  }

  async close(): Promise<void> {
    this.#unsubscribe?.();
    this.#events?.close();
    await Promise.all([this.#scripts?.close(), this.#discover?.stop(), this.#rpc?.close()]);
  }

  /** One for all who listen: an agent gathers before it tells anybody. */
  #eventsOf(handle: NodeHandle): AgentEventSource {
    if (this.#events === undefined) {
      const events = new AgentEvents(this.#config.coalescing);
      this.#events = events;
      this.#unsubscribe = handle.subscribe((event) => events.note(event));
    }
    return this.#events.subscribe;
  }
}
