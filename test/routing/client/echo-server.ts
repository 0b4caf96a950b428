/** A real grpc-js server on loopback that says who it is, to be killed and started again at the same port. */
import {
  type Client,
  type ClientOptions,
  credentials,
  makeClientConstructor,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';

const asBytes = (text: string): Buffer => Buffer.from(text);
const asText = (bytes: Buffer): string => bytes.toString();

interface Shape {
  readonly request?: boolean;
  readonly response?: boolean;
}

function method(name: string, stream: Shape = {}): MethodDefinition<string, string> {
  return {
    path: `/test.Echo/${name}`,
    requestStream: stream.request === true,
    responseStream: stream.response === true,
    requestSerialize: asBytes,
    requestDeserialize: asText,
    responseSerialize: asBytes,
    responseDeserialize: asText,
  };
}

/** Text in, text out; every answer begins with the name of the server. */
export const ECHO: ServiceDefinition = {
  say: method('Say'),
  /** Answers after the time in its text, in milliseconds. */
  wait: method('Wait'),
  chat: method('Chat', { request: true, response: true }),
  /** Each letter of the request. */
  list: method('List', { response: true }),
};

/** What a client of {@link ECHO} looks like, whichever way it was generated. */
export interface EchoClient extends Client {
  say(text: string, metadata: Metadata, options: object, done: (error: Error | null, answer?: string) => void): unknown;
  wait(
    text: string,
    metadata: Metadata,
    options: object,
    done: (error: Error | null, answer?: string) => void,
  ): {
    cancel(): void;
  };
  chat(metadata: Metadata, options?: object): import('@grpc/grpc-js').ClientDuplexStream<string, string>;
  list(text: string, metadata: Metadata, options?: object): import('@grpc/grpc-js').ClientReadableStream<string>;
}

export function echoClient(target: string, options: ClientOptions): EchoClient {
  const Echo = makeClientConstructor(ECHO, 'Echo');
  return new Echo(target, credentials.createInsecure(), options) as unknown as EchoClient;
}

export class EchoServer implements AsyncDisposable {
  readonly name: string;
  /** The other ends of all connections that ever carried a request. */
  readonly peers: Set<string> = new Set();
  /** Requests that reached a handler. */
  handled = 0;
  /** The metadata of the last one. */
  lastMetadata: Metadata | undefined;
  port = 0;
  /** `wait` sends its headers before it waits. */
  headersFirst = false;
  /** In place of an answer, for those it is not undefined for: what a router would say. */
  refuse: (metadata: Metadata, method: string) => { code: status; details: string; metadata: Metadata } | undefined =
    () => undefined;
  #server: Server | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** At the port it had before, if it ran before. */
  async start(): Promise<this> {
    const server = new Server();
    server.addService(ECHO, {
      say: (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => {
        const refusal = this.#note(call, 'say');
        if (refusal === undefined) done(null, `${this.name}:${call.request}`);
        else done(refusal);
      },
      wait: (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => {
        this.#note(call, 'wait');
        if (this.headersFirst) call.sendMetadata(new Metadata());
        const timer = setTimeout(() => done(null, `${this.name}:${call.request}`), Number(call.request));
        call.on('cancelled', () => clearTimeout(timer));
      },
      chat: (call: ServerDuplexStream<string, string>) => {
        const refusal = this.#note(call, 'chat');
        if (refusal !== undefined) return void call.emit('error', refusal);
        call.on('data', (text: string) => call.write(`${this.name}:${text}`));
        call.on('end', () => call.end());
      },
      list: (call: ServerWritableStream<string, string>) => {
        const refusal = this.#note(call, 'list');
        if (refusal !== undefined) return void call.emit('error', refusal);
        for (const letter of call.request) call.write(`${this.name}:${letter}`);
        call.end();
      },
    });
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(this.address, ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    this.#server = server;
    return this;
  }

  /** At once, and without a word: connections are cut. */
  kill(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
  }

  #note(call: { getPeer(): string; readonly metadata: Metadata }, name: string): ReturnType<EchoServer['refuse']> {
    this.peers.add(call.getPeer());
    this.lastMetadata = call.metadata;
    const refusal = this.refuse(call.metadata, name);
    if (refusal === undefined) this.handled += 1;
    return refusal;
  }
}

export interface Said {
  /** The name of the server; empty when it failed. */
  readonly by: string;
  readonly text: string;
  readonly code: number;
  readonly details: string;
}

/** One unary call; never rejects. */
export function say(
  client: EchoClient,
  text: string,
  {
    metadata,
    timeoutMs = 5_000,
    waitForReady = false,
  }: { metadata: Metadata; timeoutMs?: number; waitForReady?: boolean },
): Promise<Said> {
  metadata.setOptions({ ...metadata.getOptions(), waitForReady });
  const deadline = new Date(performance.timeOrigin + performance.now() + timeoutMs);
  return new Promise((resolve) => {
    client.say(text, metadata, { deadline }, (error, answer = '') => {
      const [by = '', ...rest] = answer.split(':');
      const { code = status.OK, details = '' } = (error ?? {}) as { code?: number; details?: string };
      resolve({ by, text: rest.join(':'), code, details });
    });
  });
}
