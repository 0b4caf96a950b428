/**
 * The way to a standalone etcd: carries out what the core asks of it, one endpoint at a time. An endpoint that does not answer is left for
 * the next one; nothing is tried again here, since the core knows what may be.
 */
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assert, unreachable } from '../base/assert.ts';
import { plainBytes } from '../base/bytes.ts';
import type {
  EtcdAnswer,
  EtcdEvent,
  EtcdInput,
  EtcdKeyValue,
  EtcdQuestion,
  EtcdRequest,
  KeyRange,
} from '../etcd/messages.ts';
import type { KVDefinition } from '../gen/etcdserverpb/KV.ts';
import type { LeaseDefinition } from '../gen/etcdserverpb/Lease.ts';
import type { RangeResponse__Output } from '../gen/etcdserverpb/RangeResponse.ts';
import type { ResponseHeader__Output } from '../gen/etcdserverpb/ResponseHeader.ts';
import type { TxnRequest } from '../gen/etcdserverpb/TxnRequest.ts';
import type { WatchDefinition } from '../gen/etcdserverpb/Watch.ts';
import type { WatchRequest } from '../gen/etcdserverpb/WatchRequest.ts';
import type { WatchResponse__Output } from '../gen/etcdserverpb/WatchResponse.ts';
import type { KeyValue__Output } from '../gen/mvccpb/KeyValue.ts';
import { findProtoFolder } from './proto-folder.ts';

const ANSWER_MS = 3_000;
/** What keeps no lease may be long. */
const PAGE_MS = 10_000;
/** By these an endpoint says that it is none that could answer; what etcd refuses, it refuses by others. */
const NO_ETCD: readonly grpc.status[] = [
  grpc.status.UNAVAILABLE,
  grpc.status.DEADLINE_EXCEEDED,
  grpc.status.UNKNOWN,
  grpc.status.UNIMPLEMENTED,
  grpc.status.INTERNAL,
  grpc.status.CANCELLED,
];
/** After an outage etcd is found again at once, and not after minutes. */
const CHANNEL: grpc.ChannelOptions = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.max_receive_message_length': -1,
  'grpc.enable_http_proxy': 0,
  // Two nodes in one process have a connection each.
  'grpc.use_local_subchannel_pool': 1,
};
/** The same as in test/tools/generate-types.mjs. */
const LOADING = { longs: Number, enums: String, defaults: true, oneofs: true } as const;

export interface EtcdLinkOptions {
  /** `http://host:port` or `https://host:port`, at least one. */
  readonly endpoints: readonly string[];
  /** Files in PEM. Without a CA, that of the system. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** Of a loaded contract, what a call needs. */
interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

interface Methods {
  readonly kv: KVDefinition;
  readonly watch: WatchDefinition;
  readonly lease: LeaseDefinition;
}

export class EtcdLink {
  readonly #endpoints: readonly string[];
  readonly #credentials: grpc.ChannelCredentials;
  readonly #post: (input: EtcdInput) => void;
  readonly #methods: Methods = loadMethods();
  #client: grpc.Client;
  #at = 0;
  readonly #watches: Map<number, grpc.ClientDuplexStream<WatchRequest, WatchResponse__Output>> = new Map();
  #isClosed = false;

  /** Rejects when a file cannot be read. Nothing is connected yet. */
  static async open(options: EtcdLinkOptions, post: (input: EtcdInput) => void): Promise<EtcdLink> {
    const read = async (path: string | undefined): Promise<Buffer | null> =>
      path === undefined ? null : await readFile(path);
    const isSecure = options.endpoints.some((endpoint) => endpoint.startsWith('https:'));
    const credentials = isSecure
      ? grpc.credentials.createSsl(
          await read(options.caFile),
          await read(options.keyFile),
          await read(options.certFile),
        )
      : grpc.credentials.createInsecure();
    return new EtcdLink(options.endpoints, credentials, post);
  }

  private constructor(
    endpoints: readonly string[],
    credentials: grpc.ChannelCredentials,
    post: (input: EtcdInput) => void,
  ) {
    assert(endpoints.length > 0, 'an etcd has an endpoint');
    this.#endpoints = endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, ''));
    this.#credentials = credentials;
    this.#post = post;
    this.#client = this.#connect();
  }

  perform(request: EtcdRequest): void {
    if (this.#isClosed) return;
    switch (request.kind) {
      case 'askEtcd':
        this.#ask(request.question, (answer) => this.#answer(request.ask, answer));
        return;
      case 'watchEtcd':
        this.#watch(request);
        return;
      case 'unwatchEtcd':
        this.#watches.get(request.watch)?.cancel();
        this.#watches.delete(request.watch);
        return;
      default:
        unreachable(request);
    }
  }

  /** Ends all that is under way, unanswered. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const watch of this.#watches.values()) watch.cancel();
    this.#watches.clear();
    this.#client.close();
  }

  #connect(): grpc.Client {
    return new grpc.Client(this.#endpoints[this.#at] as string, this.#credentials, CHANNEL);
  }

  /** What is under way with the endpoint of before ends by itself. */
  #leave(client: grpc.Client): void {
    if (this.#isClosed || client !== this.#client) return;
    this.#at = (this.#at + 1) % this.#endpoints.length;
    this.#client = this.#connect();
    client.close();
    for (const watch of this.#watches.values()) watch.cancel();
  }

  #answer(ask: number, answer: EtcdAnswer): void {
    if (!this.#isClosed) this.#post({ kind: 'etcdAnswer', ask, answer });
  }

  #ask(question: EtcdQuestion, onAnswer: (answer: EtcdAnswer) => void): void {
    const { kv, lease } = this.#methods;
    switch (question.kind) {
      case 'grant': {
        const request = { TTL: question.ttlSeconds, ID: question.lease };
        this.#call(lease.LeaseGrant, request, ({ TTL }) => ({ kind: 'lease', ttlSeconds: TTL }), onAnswer);
        return;
      }
      case 'keepAlive':
        this.#keepAlive(question.lease, onAnswer);
        return;
      case 'revoke':
        this.#call(lease.LeaseRevoke, { ID: question.lease }, () => ({ kind: 'revoked' }), onAnswer);
        return;
      case 'txn':
        this.#call(
          kv.Txn,
          txnRequest(question),
          ({ header, succeeded }) => ({ kind: 'txn', succeeded, ...headOf(header) }),
          onAnswer,
        );
        return;
      case 'range': {
        const { range, limit, revision } = question;
        // In order of keys without being asked to: etcd would sort the whole range first.
        const request = { ...bytesOf(range), limit, revision: revision ?? 0 };
        this.#call(kv.Range, request, rangeAnswer, onAnswer, limit > 2 ? PAGE_MS : ANSWER_MS);
        return;
      }
      default:
        unreachable(question);
    }
  }

  #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    read: (response: Response) => EtcdAnswer,
    onAnswer: (answer: EtcdAnswer) => void,
    withinMs: number = ANSWER_MS,
  ): void {
    const client = this.#client;
    const deadline = Date.now() + withinMs;
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      { deadline },
      (error, response) => {
        if (error !== null || response === undefined) this.#onFailure(client, error, onAnswer);
        else onAnswer(read(response));
      },
    );
  }

  /** One word in a stream of its own: it may be the last for a while, and is never queued behind another. */
  #keepAlive(lease: number, onAnswer: (answer: EtcdAnswer) => void): void {
    const client = this.#client;
    const { LeaseKeepAlive: method } = this.#methods.lease;
    const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, {
      deadline: Date.now() + ANSWER_MS,
    });
    let isAnswered = false;
    const answerOnce = (act: () => void): void => {
      if (isAnswered) return;
      isAnswered = true;
      act();
      call.cancel();
    };
    call.on('data', ({ TTL }) => answerOnce(() => onAnswer({ kind: 'lease', ttlSeconds: TTL })));
    call.on('error', (error: grpc.ServiceError) => answerOnce(() => this.#onFailure(client, error, onAnswer)));
    call.on('end', () =>
      answerOnce(() => onAnswer({ kind: 'failed', reason: 'the stream has ended', isRefused: false })),
    );
    call.write({ ID: lease });
  }

  #watch({ watch, range, fromRevision }: Extract<EtcdRequest, { kind: 'watchEtcd' }>): void {
    const { Watch: method } = this.#methods.watch;
    const call = this.#client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
    this.#watches.set(watch, call);
    const end = (isCompacted: boolean): void => {
      if (!this.#watches.delete(watch) || this.#isClosed) return;
      call.cancel();
      this.#post({ kind: 'etcdWatchEnded', watch, isCompacted });
    };
    call.on('data', (response) => {
      if (this.#watches.get(watch) !== call || this.#isClosed) return;
      if (response.canceled) end(response.compactRevision > 0);
      else if (response.events.length > 0) this.#post({ kind: 'etcdEvents', watch, ...eventsOf(response) });
    });
    call.on('error', () => end(false));
    call.on('end', () => end(false));
    call.write({ createRequest: { ...bytesOf(range), startRevision: fromRevision } });
  }

  #onFailure(client: grpc.Client, error: grpc.ServiceError | null, onAnswer: (answer: EtcdAnswer) => void): void {
    const isRefused = error !== null && !NO_ETCD.includes(error.code);
    if (!isRefused) this.#leave(client);
    onAnswer({ kind: 'failed', reason: error?.details.trim() ?? 'there was no answer', isRefused });
  }
}

function loadMethods(): Methods {
  const loaded = loadSync('etcd/rpc.proto', { ...LOADING, includeDirs: [findProtoFolder()] });
  const service = (name: string): unknown => loaded[`etcdserverpb.${name}`];
  return {
    kv: service('KV') as KVDefinition,
    watch: service('Watch') as WatchDefinition,
    lease: service('Lease') as LeaseDefinition,
  };
}

function bytesOf({ from, to }: KeyRange): { readonly key: Buffer; readonly rangeEnd: Buffer } {
  return { key: Buffer.from(from), rangeEnd: Buffer.from(to) };
}

function txnRequest({ guards, puts, deletes }: Extract<EtcdQuestion, { kind: 'txn' }>): TxnRequest {
  return {
    compare: guards.map(({ key, createRevision }) => ({
      result: 'EQUAL',
      target: 'CREATE',
      key: Buffer.from(key),
      createRevision,
      targetUnion: 'createRevision',
    })),
    success: [
      ...puts.map(({ key, value, lease }) => ({
        requestPut: { key: Buffer.from(key), value, lease: lease ?? 0 },
        request: 'requestPut' as const,
      })),
      ...deletes.map((range) => ({
        requestDeleteRange: bytesOf(range),
        request: 'requestDeleteRange' as const,
      })),
    ],
  };
}

function rangeAnswer({ header, kvs, more }: RangeResponse__Output): EtcdAnswer {
  return { kind: 'range', kvs: kvs.map(keyValueOf), more, ...headOf(header) };
}

/** The id of a cluster of etcd has 64 bits: what is left of it here tells two apart as well. */
function headOf(header: ResponseHeader__Output | null): { readonly revision: number; readonly store: number } {
  return { revision: header?.revision ?? 0, store: header?.clusterId ?? 0 };
}

function keyValueOf({ key, value, createRevision, modRevision, lease }: KeyValue__Output): EtcdKeyValue {
  return { key: key.toString(), value: plainBytes(value), createRevision, modRevision, lease };
}

function eventsOf({ events: told }: WatchResponse__Output): {
  readonly events: EtcdEvent[];
  readonly revision: number;
} {
  const events: EtcdEvent[] = [];
  let revision = 0;
  for (const { type, kv } of told) {
    if (kv === null) continue;
    const { modRevision } = kv;
    if (modRevision > revision) revision = modRevision;
    if (type === 'PUT') events.push({ kind: 'put', kv: keyValueOf(kv) });
    else events.push({ kind: 'delete', key: kv.key.toString(), modRevision });
  }
  return { events, revision };
}
