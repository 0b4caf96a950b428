/** A sharded gRPC service on every node of a fake cluster, and a client of it. */
import {
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { GrpcRouting, servedOwnership } from '../../src/routing/grpc-routing.ts';
import { ShardRouter, type RoutedNode, type ShardRouterOptions } from '../../src/routing/shard-router.ts';
import type { FakeCluster } from './fake-cluster.ts';

export interface Word {
  readonly shard: number;
  readonly text: string;
}

export interface Echo {
  readonly node: string;
  readonly text: string;
  readonly epoch: number;
}

const asBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const fromBytes = (bytes: Buffer): never => JSON.parse(bytes.toString()) as never;
const method = (name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Word, Echo> => ({
  path: `/test.Words/${name}`,
  requestStream,
  responseStream,
  requestSerialize: asBytes,
  requestDeserialize: fromBytes,
  responseSerialize: asBytes,
  responseDeserialize: fromBytes,
});

/** `Tell` is routed by metadata `shard`, `Here` not at all, all others by their first message. */
type WordMethod = 'Say' | 'Gather' | 'Recite' | 'Talk' | 'Tell' | 'Here';

export const WORDS: Readonly<Record<WordMethod, MethodDefinition<Word, Echo>>> = {
  Say: method('Say', false, false),
  Gather: method('Gather', true, false),
  Recite: method('Recite', false, true),
  Talk: method('Talk', true, true),
  Tell: method('Tell', true, true),
  Here: method('Here', false, false),
};

const byShard = { shardOf: ({ shard }: Word): number => shard };

/** What handlers of a test do instead of echoing. */
export interface WordHandlers {
  say?: (call: ServerUnaryCall<Word, Echo>, callback: sendUnaryData<Echo>) => void;
  recite?: (call: ServerWritableStream<Word, Echo>) => void;
  talk?: (call: ServerDuplexStream<Word, Echo>) => void;
}

export class WordServer {
  readonly id: string;
  readonly router: ShardRouter;
  readonly routing: GrpcRouting;
  readonly handlers: WordHandlers = {};
  /** Requests that handlers have seen. */
  readonly seen: string[] = [];
  readonly #credentials: ServerCredentials;
  #server: Server;
  #port = 0;

  constructor(
    id: string,
    node: RoutedNode,
    options: Partial<ShardRouterOptions> & { readonly serverCredentials?: ServerCredentials } = {},
  ) {
    this.id = id;
    this.#credentials = options.serverCredentials ?? ServerCredentials.createInsecure();
    this.router = new ShardRouter(node, { service: 'words', waitMsMax: 2_000, ...options });
    this.routing = new GrpcRouting(this.router);
    this.#server = this.#make();
  }

  get endpoint(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.#port };
  }

  async listen(port = 0): Promise<void> {
    this.#port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync(`127.0.0.1:${port}`, this.#credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
  }

  /** As a killed process would. */
  kill(): void {
    this.#server.forceShutdown();
  }

  async restart(): Promise<void> {
    this.#server = this.#make();
    await this.listen(this.#port);
  }

  close(): void {
    this.kill();
    this.routing.close();
    this.router.close();
  }

  #make(): Server {
    const server = new Server({ interceptors: [this.routing.interceptor] });
    const service = this.routing.service(WORDS, {
      Say: byShard,
      Gather: byShard,
      Recite: byShard,
      Talk: byShard,
      Tell: { shardOfMetadata: (metadata) => Number(metadata.get('shard')[0]) },
    });
    server.addService(service, {
      Say: (call: ServerUnaryCall<Word, Echo>, callback: sendUnaryData<Echo>) => {
        this.seen.push(call.request.text);
        if (this.handlers.say !== undefined) this.handlers.say(call, callback);
        else callback(null, this.echo(call.metadata, call.request.text));
      },
      Gather: (call: ServerReadableStream<Word, Echo>, callback: sendUnaryData<Echo>) => {
        const texts: string[] = [];
        call.on('data', ({ text }: Word) => texts.push(text));
        call.on('end', () => callback(null, this.echo(call.metadata, texts.join(' '))));
      },
      Recite: (call: ServerWritableStream<Word, Echo>) => {
        this.seen.push(call.request.text);
        if (this.handlers.recite !== undefined) {
          this.handlers.recite(call);
          return;
        }
        for (const text of call.request.text.split(' ')) call.write(this.echo(call.metadata, text));
        call.end();
      },
      Talk: (call: ServerDuplexStream<Word, Echo>) => this.#talk(call),
      Tell: (call: ServerDuplexStream<Word, Echo>) => this.#talk(call),
      Here: (call: ServerUnaryCall<Word, Echo>, callback: sendUnaryData<Echo>) =>
        callback(null, this.echo(call.metadata, call.request.text)),
    });
    return server;
  }

  echo(metadata: Metadata, text: string): Echo {
    return { node: this.id, text, epoch: servedOwnership(metadata)?.epoch ?? 0 };
  }

  #talk(call: ServerDuplexStream<Word, Echo>): void {
    if (this.handlers.talk !== undefined) {
      this.handlers.talk(call);
      return;
    }
    call.on('data', ({ text }: Word) => {
      this.seen.push(text);
      call.write(this.echo(call.metadata, text));
    });
    call.on('end', () => call.end());
    call.on('error', () => undefined);
  }
}

/** Servers on nodes of a fake cluster, all published. */
export async function wordServers(
  cluster: FakeCluster,
  ids: readonly string[],
  options: Partial<ShardRouterOptions> & { readonly serverCredentials?: ServerCredentials } = {},
): Promise<WordServer[]> {
  const servers = ids.map((id) => new WordServer(id, { handle: cluster.handle(id) }, options));
  for (const server of servers) {
    await server.listen();
    cluster.publish(server.id, 'words', server.endpoint);
  }
  return servers;
}

export interface Said {
  readonly echo: Echo | undefined;
  readonly error: ServiceError | undefined;
  readonly metadata: Metadata;
  readonly trailers: Metadata;
}

export class WordClient {
  readonly client: Client;

  constructor(server: WordServer, channelCredentials: ChannelCredentials = credentials.createInsecure()) {
    const { host, port } = server.endpoint;
    this.client = new Client(`${host}:${port}`, channelCredentials, { 'grpc.use_local_subchannel_pool': 1 });
  }

  say(
    shard: number,
    text: string,
    options: { readonly metadata?: Metadata; readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Said> {
    return new Promise((resolve) => {
      let metadata = new Metadata();
      let trailers = new Metadata();
      let outcome: { echo: Echo | undefined; error: ServiceError | undefined } | undefined;
      const finish = (): void => {
        if (outcome !== undefined && isStatusSeen) resolve({ ...outcome, metadata, trailers });
      };
      let isStatusSeen = false;
      const { path, requestSerialize, responseDeserialize } = WORDS.Say;
      const call = this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { shard, text },
        options.metadata ?? new Metadata(),
        { deadline: new Date(Date.now() + (options.timeoutMs ?? 10_000)) },
        (error, echo) => {
          outcome = { echo, error: error ?? undefined };
          finish();
        },
      );
      options.signal?.addEventListener('abort', () => call.cancel());
      call.on('metadata', (received) => {
        metadata = received;
      });
      call.on('status', (status) => {
        trailers = status.metadata;
        isStatusSeen = true;
        finish();
      });
    });
  }

  close(): void {
    this.client.close();
  }
}
