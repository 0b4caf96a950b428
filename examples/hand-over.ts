/**
 * State that moves with its shards: two nodes keep a counter per shard in memory. When a shard moves, its old owner finishes what is under way
 * and hands the counter over; the new one takes it in before it serves. After a build: `node dist/examples/hand-over.js`. It ends by itself.
 *
 * What is handed over is a shortcut. A node that dies hands nothing over, so what must not be lost is written somewhere else as well, under the
 * fencing token: `store` stands for that here.
 */
import { filter, firstValueFrom, takeUntil, timer } from 'rxjs';
import { FunkNode, type FunkNodeHooks, formatEndpoint, type NodeOptions } from '../src/index.ts';

const SHARDS = 8;
/** Nothing here takes half as long. */
const PATIENCE_MS = 20_000;

interface Counter {
  epoch: number;
  value: number;
}

/** A database, as seen by one shard at a time: it refuses whoever comes with an older token than it has seen. */
const store = new Map<number, Counter>();

function save(shard: number, counter: Counter): boolean {
  const stored = store.get(shard);
  if (stored !== undefined && stored.epoch > counter.epoch) return false;
  store.set(shard, { ...counter });
  return true;
}

class Service {
  readonly name: string;
  readonly node: FunkNode;
  readonly #counters: Map<number, Counter> = new Map();

  constructor(name: string, options: NodeOptions) {
    this.name = name;
    this.node = new FunkNode({ ...options, nodeId: name }, this.#hooks());
  }

  /** Counts, if this node owns the shard at this very instant. */
  count(shard: number): number | undefined {
    const counter = this.#counters.get(shard);
    if (this.node.owns(shard) === undefined || counter === undefined) return undefined;
    counter.value += 1;
    return save(shard, counter) ? counter.value : undefined;
  }

  #hooks(): FunkNodeHooks {
    return {
      onAcquire: async ({ shards, epoch }) => {
        let handedOver = 0;
        for (const { shard, state } of shards) {
          if (state !== undefined) handedOver += 1;
          const value = state === undefined ? (store.get(shard)?.value ?? 0) : Number(Buffer.from(state).toString());
          this.#counters.set(shard, { epoch, value });
        }
        say(
          `${this.name}: takes ${shards.length} shards under token ${epoch}, ${handedOver} with what was handed over`,
        );
      },
      onRelease: async (_shards, _deadlineMs, release) => {
        for (const { shard } of release.shards) {
          const counter = this.#counters.get(shard);
          this.#counters.delete(shard);
          if (counter !== undefined) release.handOver(shard, Buffer.from(String(counter.value)));
        }
        const to = new Set(release.shards.map((one) => one.to?.node ?? 'nobody'));
        say(`${this.name}: lets ${release.shards.length} shards go to ${[...to].join(', ')}`);
      },
    };
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Counts every shard once, wherever it is served. */
function countAll(services: readonly Service[]): string {
  const values = Array.from({ length: SHARDS }, (_, shard) => {
    for (const service of services) {
      const value = service.count(shard);
      if (value !== undefined) return `${service.name}${value}`;
    }
    return '-';
  });
  return values.join(' ');
}

/** Resolves when each shard is served by somebody. */
async function allServed(services: readonly Service[]): Promise<void> {
  const isServed = (shard: number): boolean => services.some(({ node }) => node.owns(shard) !== undefined);
  const served = timer(0, 20).pipe(filter(() => Array.from({ length: SHARDS }, (_, shard) => shard).every(isServed)));
  await firstValueFrom(served.pipe(takeUntil(timer(PATIENCE_MS))));
}

const common: NodeOptions = {
  clusterName: `hand-over-${process.pid}`,
  interface: '127.0.0.1',
  inMemory: true,
  shards: SHARDS,
};
const a = new Service('a', { ...common, bootstrap: true });
await a.node.start();
await allServed([a]);
say(`counted: ${countAll([a])}`);

const gossip = a.node.view().endpoints.get('ep.serf');
if (gossip === undefined) throw new Error('a started node has a gossip endpoint');
const b = new Service('b', { ...common, join: formatEndpoint(gossip) });
await b.node.start();
const hasHalf = b.node.streams.shardMaps.pipe(filter((map) => map.owners.length === 2));
await firstValueFrom(hasHalf.pipe(takeUntil(timer(PATIENCE_MS))));
await allServed([a, b]);
say(`counted: ${countAll([a, b])}`);

// An orderly stop gives everything away first.
await a.node.stop();
await allServed([b]);
say(`counted: ${countAll([b])}`);
await b.node.stop();
say('done');
