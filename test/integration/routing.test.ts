/** Routing on real nodes, in threads of their own and in this one: shards move under load, and no call fails. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { filter, firstValueFrom, timeout } from 'rxjs';
import { FunkNode, formatEndpoint, type NodeOptions } from '../../src/index.ts';
import { WordClient, WordServer } from '../routing/grpc-rig.ts';

const PATIENCE_MS = 60_000;
const SHARDS = 100;
const IN_FLIGHT = 8;

class RoutedWordNode {
  readonly node: FunkNode;
  server: WordServer | undefined;

  constructor(options: NodeOptions) {
    this.node = new FunkNode(
      { clusterName: `routed-${process.pid}`, interface: '127.0.0.1', inMemory: true, shards: SHARDS, ...options },
      { onRelease: async (shards) => this.server?.router.whenIdle(shards) },
    );
  }

  async start(nodes: number): Promise<void> {
    await this.node.start();
    this.server = new WordServer(this.node.id, this.node, { waitMsMax: 10_000 });
    await this.server.listen();
    await this.node.setEndpoint('words', this.server.endpoint);
    await this.settled(nodes);
  }

  async settled(nodes: number): Promise<void> {
    const isSo = (): boolean =>
      this.node.view().shardMap?.owners.length === nodes && this.node.endpoints('words').size === nodes;
    if (!isSo()) await firstValueFrom(this.node.streams.events.pipe(filter(isSo), timeout(PATIENCE_MS)));
  }

  async stop(): Promise<void> {
    await this.node.stop();
    this.server?.close();
  }
}

/** Calls for all shards in turn through one node, until it is told to stop. */
function load(through: WordServer): { stop(): Promise<{ calls: number; errors: string[]; nodes: Set<string> }> } {
  const client = new WordClient(through);
  const errors: string[] = [];
  const nodes = new Set<string>();
  let calls = 0;
  let isOver = false;
  const worker = async (): Promise<void> => {
    while (!isOver) {
      calls += 1;
      const { echo, error } = await client.say(calls % SHARDS, 'x', { timeoutMs: 60_000 });
      if (error !== undefined) errors.push(error.message);
      else if (echo !== undefined) nodes.add(echo.node);
    }
  };
  const workers = Array.from({ length: IN_FLIGHT }, worker);
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(workers);
      client.close();
      return { calls, errors, nodes };
    },
  };
}

describe('routing on real nodes', { timeout: 120_000 }, () => {
  for (const thread of ['own', 'caller'] as const) {
    // Three nodes, their servers and the load in one thread want a machine of their own.
    const skip = thread === 'caller' && process.env['FUNKNODE_LONG'] !== '1';
    it(`loses no call while nodes come and leave in order (thread: ${thread})`, { skip }, async (context) => {
      const started: RoutedWordNode[] = [];
      context.after(() => Promise.all(started.map((node) => node.stop())));
      const a = new RoutedWordNode({ nodeId: 'a', bootstrap: true, thread });
      started.push(a);
      await a.start(1);
      const through = a.server as WordServer;
      const calls = load(through);
      const join = formatEndpoint(a.node.view().endpoints.get('ep.serf') as { host: string; port: number });
      const b = new RoutedWordNode({ nodeId: 'b', join, thread });
      started.push(b);
      await b.start(2);
      const c = new RoutedWordNode({ nodeId: 'c', join, thread });
      started.push(c);
      await c.start(3);
      await a.settled(3);
      // Calls for the shards that have moved come by in their turn.
      while (through.routing.connections < 2) await new Promise((resolve) => setTimeout(resolve, 10));
      await b.stop();
      await a.settled(2);
      await c.stop();
      await a.settled(1);
      const { calls: made, errors, nodes } = await calls.stop();
      assert.deepEqual(errors, []);
      assert.ok(made > 100, `${made} calls`);
      assert.deepEqual([...nodes].sort(), ['a', 'b', 'c']);
      assert.equal(through.routing.connections, 0);
      // What the router reported has reached the node, in whichever thread it is.
      through.router.close();
      const { requests } = a.node.handle.stats().routing;
      assert.ok(requests.some(({ destination, method }) => destination === 'b' && method === '/test.Words/Say'));
      await a.stop();
    });
  }
});
