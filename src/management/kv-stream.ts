/**
 * Asks the coordination state over gRPC: one `Exchange` stream to one of several nodes, requests of a moment in one message. When the stream
 * breaks or a node does not answer, the next node's turn has come; what was open on it is lost, and nobody knows what became of it.
 */
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import type { KvAsk as AskMessage } from '../gen/funk/v1/KvAsk.ts';
import type { KvExchangeRequest } from '../gen/funk/v1/KvExchangeRequest.ts';
import type { KvExchangeResponse__Output } from '../gen/funk/v1/KvExchangeResponse.ts';
import type { KvTold__Output } from '../gen/funk/v1/KvTold.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../model/endpoint.ts';
import type { KvRequest } from '../model/kv.ts';
import { KvClient, type KvTryOptions } from '../runtime/kv-client.ts';
import { kvErrorOf, type KvDone } from '../runtime/kv-errors.ts';
import { MANAGEMENT_PORT } from './client.ts';
import { CallRefusedError, InvalidEndpointError, TimedOutError, UnreachableError } from './client-errors.ts';
import { KV_CHANNEL_OPTIONS } from './grpc-options.ts';
import { doneOf } from './kv-replies.ts';
import { askOf } from './kv-requests.ts';
import { loadProtos, type Protos } from './protos.ts';

interface Waiting {
  readonly resolve: (done: KvDone) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

type Stream = ClientDuplexStream<KvExchangeRequest, KvExchangeResponse__Output>;

interface Connection {
  readonly address: string;
  readonly client: Client;
  readonly stream: Stream;
  readonly waiting: Map<number, Waiting>;
  asks: AskMessage[];
}

class KvStream implements Disposable {
  readonly #addresses: readonly string[];
  readonly #method: Protos['kv']['Exchange'];
  #at = 0;
  #lastId = 0;
  #connection: Connection | undefined;
  #isClosed = false;

  /** Nothing is dialled before the first request. */
  constructor(endpoints: readonly Endpoint[]) {
    this.#addresses = endpoints.map(formatEndpoint);
    this.#method = loadProtos().kv.Exchange;
  }

  ask(request: KvRequest, { timeoutMs, signal }: KvTryOptions): Promise<KvDone> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#isClosed) throw new UnreachableError('the client is closed');
      const connection = this.#connected();
      this.#lastId += 1;
      const id = this.#lastId;
      const settle = (): Waiting | undefined => {
        const waiting = connection.waiting.get(id);
        connection.waiting.delete(id);
        return waiting;
      };
      const timer = setTimeout(() => {
        if (settle() === undefined) return;
        reject(new TimedOutError(`${connection.address} did not answer in time`));
        this.#leave(connection, 'a request was not answered in time');
      }, timeoutMs);
      connection.waiting.set(id, { resolve, reject, timer });
      signal?.addEventListener('abort', () => settle()?.reject(signal.reason as Error), { once: true });
      connection.asks.push(askOf(id, request));
      if (connection.asks.length === 1) setImmediate(() => flush(connection));
    });
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    if (this.#connection !== undefined) this.#leave(this.#connection, 'the client is closed');
  }

  #connected(): Connection {
    if (this.#connection !== undefined) return this.#connection;
    const address = this.#addresses[this.#at % this.#addresses.length] as string;
    const client = new Client(address, credentials.createInsecure(), KV_CHANNEL_OPTIONS);
    const { path, requestSerialize, responseDeserialize } = this.#method;
    const stream: Stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const connection: Connection = { address, client, stream, waiting: new Map(), asks: [] };
    this.#connection = connection;
    stream.on('data', (message: KvExchangeResponse__Output) => {
      for (const told of message.answers)
        if (told.error?.code === 'FUNK_STOPPED') this.#leave(connection, 'the node is stopping');
        else onTold(connection, told);
    });
    stream.on('error', (error: Error) => this.#leave(connection, error.message));
    stream.on('end', () => this.#leave(connection, 'the node has ended the stream'));
    return connection;
  }

  /** The next request goes to the next node. */
  #leave(connection: Connection, why: string): void {
    if (this.#connection === connection) {
      this.#connection = undefined;
      this.#at += 1;
    }
    const { address, client, stream, waiting } = connection;
    connection.asks = [];
    for (const [id, { reject, timer }] of waiting) {
      waiting.delete(id);
      clearTimeout(timer);
      reject(new UnreachableError(`the connection to ${address} was lost: ${why}`));
    }
    stream.cancel();
    client.close();
  }
}

function flush(connection: Connection): void {
  const { asks } = connection;
  if (asks.length === 0) return;
  connection.asks = [];
  connection.stream.write({ asks });
}

function onTold({ waiting, address }: Connection, told: KvTold__Output): void {
  const open = waiting.get(told.id);
  if (open === undefined) return;
  waiting.delete(told.id);
  clearTimeout(open.timer);
  const done = doneOf(told);
  if (done !== undefined) open.resolve(done);
  else if (told.error) open.reject(errorOf(told.error.code, told.error.message));
  else open.reject(new CallRefusedError({ message: `${address} gave no answer`, status: 'INTERNAL', reason: '' }));
}

function errorOf(code: string, message: string): Error {
  return kvErrorOf(code, message) ?? new CallRefusedError({ message, status: 'UNKNOWN', reason: code });
}

/**
 * A client of the coordination state by way of nodes elsewhere: `host:port` of their management endpoints, or a host alone for port 7948.
 * The first is asked; when it does not answer, the next, and so on around. Nothing is dialled before the first call.
 * @throws {InvalidEndpointError} naming the one that is none.
 */
export function connectKv(endpoints: string | Endpoint | readonly (string | Endpoint)[]): KvClient {
  const wanted = Array.isArray(endpoints) ? (endpoints as readonly (string | Endpoint)[]) : [endpoints as string];
  const parsed = wanted.map((endpoint) => {
    const one = typeof endpoint === 'string' ? parseEndpoint(endpoint, MANAGEMENT_PORT) : endpoint;
    if (one === undefined || one.port === 0) throw new InvalidEndpointError(`"${String(endpoint)}" is no host:port`);
    return one;
  });
  if (parsed.length === 0) throw new InvalidEndpointError('no endpoint is named');
  const stream = new KvStream(parsed);
  return new KvClient(
    (request, options) => stream.ask(request, options),
    () => stream[Symbol.dispose](),
  );
}
