/**
 * A counter for each name, kept by whoever owns the name's shard, and reached through any node: two nodes with an HTTP server each, in one
 * process. After a build: `node dist/examples/routing.js`. Everything stays on loopback and in memory; it ends by itself.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { filter, firstValueFrom, takeUntil, timer } from 'rxjs';
import { FunkNode, formatEndpoint, type NodeOptions } from '../src/index.ts';
import { HttpRouting, ShardRouter, shardOfString } from '../src/routing.ts';

/** Nothing here takes half as long. */
const PATIENCE_MS = 20_000;
const NAMES = ['ada', 'grace', 'edsger', 'barbara'];

const common: NodeOptions = { clusterName: `routing-${process.pid}`, interface: '127.0.0.1', inMemory: true };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A node, its share of the counters, and the server that takes requests for all of them. */
class CounterNode {
  readonly node: FunkNode;
  port = 0;
  #router: ShardRouter | undefined;
  #routing: HttpRouting | undefined;
  #server: Server | undefined;
  readonly #counts: Map<string, number> = new Map();

  constructor(options: NodeOptions) {
    // What is being served is finished before a shard goes; what comes meanwhile waits, and goes to the new owner.
    this.node = new FunkNode(
      { ...common, ...options },
      { onRelease: async (shards) => this.#router?.whenIdle(shards) },
    );
  }

  async start(nodes: number): Promise<void> {
    await this.node.start();
    this.#router = new ShardRouter(this.node, { service: 'counter' });
    this.#routing = new HttpRouting(this.#router);
    const handler = this.#routing.handler(
      ({ url = '/' }, shardCount) => shardOfString(url, shardCount),
      ({ url = '/' }, response, ownership) => {
        const count = (this.#counts.get(url) ?? 0) + 1;
        this.#counts.set(url, count);
        // The token goes along with whatever is written to a store: it fences off an owner that was paused in between.
        response.end(`${this.node.id} has seen ${url.slice(1)} ${count} times, token ${ownership?.epoch}`);
      },
    );
    this.#server = createServer(handler).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
    await this.node.setEndpoint('counter', { host: '127.0.0.1', port: this.port });
    const settled = this.node.streams.states.pipe(
      filter((state) => state === 'Operational' && this.node.view().shardMap?.owners.length === nodes),
    );
    await firstValueFrom(settled.pipe(takeUntil(timer(PATIENCE_MS))));
  }

  /** First the shards go, with requests still being taken; then the server. */
  async stop(): Promise<void> {
    await this.node.stop();
    this.#routing?.close();
    this.#router?.close();
    this.#server?.close();
  }
}

async function ask(through: CounterNode): Promise<void> {
  for (const name of NAMES) {
    const response = await fetch(`http://127.0.0.1:${through.port}/${name}`);
    say(`through ${through.node.id}: ${response.status} ${await response.text()}`);
  }
}

const a = new CounterNode({ nodeId: 'a', bootstrap: true });
await a.start(1);
await ask(a);

const gossip = a.node.view().endpoints.get('ep.serf');
if (gossip === undefined) throw new Error('a started node has a gossip endpoint');
const b = new CounterNode({ nodeId: 'b', join: formatEndpoint(gossip) });
await b.start(2);
await ask(a);
await ask(b);

await a.stop();
await ask(b);
await b.stop();
say('done');
