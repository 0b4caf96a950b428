/**
 * The demo's load: many sessions, each adding one to its counter again and again, half of them over gRPC and half over HTTP, each request straight to
 * the owner of the session's shard. Requests may be repeated after a broken connection: the step number makes that harmless.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, type ClientOptions, credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { type ClusterReader, shardCalls, shardFetch, shardOfString } from '../../src/client.ts';

/** One request and what came of it. Instants are of `performance.now()`. */
export interface Sample {
  readonly shard: number;
  readonly at: number;
  readonly tookMs: number;
  /** Undefined: it failed. */
  readonly node: string | undefined;
  readonly error: string | undefined;
}

interface Reply {
  readonly value: number;
  readonly node: string;
}

type CounterClient = Client & {
  Add(request: object, options: { deadline: number }, done: (error: ServiceError | null, reply?: Reply) => void): void;
};

const DEADLINE_MS = 15_000;
const METHOD = '/demo.Counter/Add';

export class Load {
  readonly samples: Sample[] = [];
  /** Additions that were acknowledged, by session. */
  readonly acknowledged: Map<string, number> = new Map();
  readonly #reader: ClusterReader;
  readonly #calls: ReturnType<typeof shardCalls>;
  readonly #fetch: ReturnType<typeof shardFetch>;
  readonly #client: CounterClient;
  readonly #stop: AbortController = new AbortController();
  #httpRequests = 0;
  #fetches = 0;

  constructor(reader: ClusterReader) {
    this.#reader = reader;
    this.#calls = shardCalls({
      source: reader,
      endpoint: 'counter-grpc',
      credentials: credentials.createInsecure(),
      shardOf: { [METHOD]: (request, count) => shardOfString((request as { session: string }).session, count) },
      idempotent: [METHOD],
    });
    this.#fetch = shardFetch({
      source: reader,
      endpoint: 'counter-http',
      fetch: (...request) => {
        this.#fetches += 1;
        return fetch(...request);
      },
    });
    this.#client = counterClient(this.#calls.clientOptions());
  }

  /** Attempts beyond the first. */
  get retries(): number {
    const overGrpc = Object.values(this.#calls.counts().retries).reduce((sum, count) => sum + count, 0);
    return overGrpc + Math.max(0, this.#fetches - this.#httpRequests);
  }

  /** Runs `sessions` sessions with `perSecond` requests in all, until {@link stop}; resolves when the last answer is there. */
  async run(sessions: number, perSecond: number): Promise<void> {
    const everyMs = (1_000 * sessions) / perSecond;
    await Promise.all(Array.from({ length: sessions }, (_, i) => this.#session(`session-${i}`, i % 2 === 0, everyMs)));
    this.#client.close();
    this.#calls.close();
  }

  stop(): void {
    this.#stop.abort();
  }

  async #session(session: string, isGrpc: boolean, everyMs: number): Promise<void> {
    const { signal } = this.#stop;
    await sleep(Math.random() * everyMs);
    for (let step = 1; !signal.aborted; step++) {
      const at = performance.now();
      const shard = shardOfString(session, this.#reader.shardMap?.shardCount ?? 1);
      const outcome = await (isGrpc ? this.#addOverGrpc(session, step) : this.#addOverHttp(session, step));
      const tookMs = performance.now() - at;
      if (typeof outcome === 'string') {
        this.samples.push({ shard, at, tookMs, node: undefined, error: outcome });
        // The same step again: it may have been done.
        step -= 1;
      } else {
        this.samples.push({ shard, at, tookMs, node: outcome.node, error: undefined });
        this.acknowledged.set(session, outcome.value);
      }
      await sleep(Math.max(0, everyMs - tookMs));
    }
  }

  #addOverGrpc(session: string, step: number): Promise<Reply | string> {
    return new Promise((resolve) => {
      this.#client.Add({ session, step }, { deadline: Date.now() + DEADLINE_MS }, (error, reply) => {
        resolve(error === null && reply !== undefined ? reply : `gRPC ${error?.code}: ${error?.details}`);
      });
    });
  }

  async #addOverHttp(session: string, step: number): Promise<Reply | string> {
    this.#httpRequests += 1;
    try {
      const answer = await this.#fetch.fetch(`/counters/${session}?step=${step}`, {
        method: 'POST',
        shardOf: (count) => shardOfString(session, count),
        isIdempotent: true,
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      return answer.ok ? ((await answer.json()) as Reply) : `HTTP ${answer.status}: ${await answer.text()}`;
    } catch (error) {
      return `HTTP: ${String(error)}`;
    }
  }
}

function counterClient(options: ClientOptions): CounterClient {
  const proto = fileURLToPath(new URL('../../../examples/demo/counter.proto', import.meta.url));
  const { demo } = loadPackageDefinition(loadSync(proto, { longs: Number, keepCase: true })) as unknown as {
    demo: { Counter: new (address: string, by: unknown, options: ClientOptions) => CounterClient };
  };
  return new demo.Counter('unused', credentials.createInsecure(), options);
}
