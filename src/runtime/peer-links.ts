/**
 * The links between nodes: one gRPC stream per direction and pair, opened once and kept, since opening a call costs more than
 * a thousand messages on it. A frame is bytes; its meaning is in wire/peer. Loss is normal: a full or broken link drops.
 */
import * as grpc from '@grpc/grpc-js';
import { plainBytes } from '../base/bytes.ts';
import { formatEndpoint, type Endpoint } from '../model/endpoint.ts';
import type { MemberId } from '../model/ids.ts';
import type { PeerStats } from '../model/node-stats.ts';
import { BATCH_FRAMES_MAX, encodePeerBatch, splitPeerBatch } from '../wire/peer/peer-batch.ts';
import { PEER_FRAME_BYTES_MAX } from '../wire/peer/peer-message.ts';
import { PeerDoor } from './peer-door.ts';

/** A link that was given work and heard no echo for so long is dead, whatever TCP believes: 2 E (raft.md, stack of redialling). */
const SILENT_MS = 500;
/** A dead link is made anew at most this often. */
const REDIAL_MS = 1_000;
/** Links that nobody uses are closed. */
const UNUSED_MS = 30_000;
const SWEEP_MS = 250;
/** The receiver says "I hear you" at most this often, and at the latest with its next sweep: well within `SILENT_MS` of any frame. */
const ECHO_MS = 250;
/** Frames waiting in one link; beyond it they are dropped. */
const QUEUED_BYTES_MAX = 8 * 1024 * 1024;
const LINKS_MAX = 4_096;
/** Larger frames travel alone: what is gathered is copied. */
const GATHERED_FRAME_BYTES_MAX = 4_096;
/** Streams in one connection. A peer opens one, and another when it redials before the first has ended. */
const STREAMS_MAX = 16;
const ECHO: Buffer = Buffer.from([1]);
const NO_FRAME: Uint8Array = new Uint8Array(0);

// It tells on stderr, in its own words, what its errors tell us as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

const identity = (bytes: Buffer): Buffer => bytes;
const EXCHANGE: grpc.MethodDefinition<Buffer, Buffer> = {
  path: '/funk.v1.Peer/Exchange',
  requestStream: true,
  responseStream: true,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
const SERVICE: grpc.ServiceDefinition = { Exchange: EXCHANGE };
const CHANNEL: grpc.ChannelOptions = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.max_send_message_length': PEER_FRAME_BYTES_MAX,
  'grpc.max_receive_message_length': PEER_FRAME_BYTES_MAX,
  'grpc.enable_http_proxy': 0,
};

interface Link {
  readonly address: string;
  readonly client: grpc.Client;
  readonly stream: grpc.ClientDuplexStream<Buffer, Buffer>;
  isBroken: boolean;
  /** Since when something was sent that no echo has answered; undefined when all is answered. */
  unansweredSince: number | undefined;
  usedAt: number;
  queuedBytes: number;
  /** Frames of this turn, which leave together at its end. */
  gathered: Uint8Array[];
}

interface Incoming {
  readonly call: grpc.ServerDuplexStream<Buffer, Buffer>;
  echoedAt: number;
  isEchoOwed: boolean;
}

export interface PeerLinkEvents {
  frame(bytes: Uint8Array): void;
  unreachable(peer: MemberId): void;
}

export class PeerLinks implements AsyncDisposable {
  readonly #events: PeerLinkEvents;
  readonly #now: () => number;
  readonly #server: grpc.Server;
  #door: PeerDoor | undefined;
  readonly #links: Map<MemberId, Link> = new Map();
  readonly #dialled: Map<MemberId, { readonly address: string; readonly at: number }> = new Map();
  readonly #incoming: Set<Incoming> = new Set();
  #sweeper: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #stats: PeerStats = {
    links: 0,
    messagesSent: 0,
    messagesReceived: 0,
    messagesDropped: 0,
    bytesSent: 0,
    bytesReceived: 0,
    reconnects: 0,
    connectionsAccepted: 0,
    connectionsRefused: 0,
    connectionsMalformed: 0,
  };

  constructor(events: PeerLinkEvents, now: () => number) {
    this.#events = events;
    this.#now = now;
    this.#server = new grpc.Server({
      'grpc.max_send_message_length': PEER_FRAME_BYTES_MAX,
      'grpc.max_receive_message_length': PEER_FRAME_BYTES_MAX,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.max_concurrent_streams': STREAMS_MAX,
    });
    this.#server.addService(SERVICE, {
      Exchange: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => this.#onExchange(call),
    });
  }

  get stats(): Readonly<PeerStats> {
    const { accepted = 0, refused = 0, malformed = 0 } = this.#door ?? {};
    return {
      ...this.#stats,
      links: this.#links.size,
      connectionsAccepted: accepted,
      connectionsRefused: refused,
      connectionsMalformed: malformed,
    };
  }

  /** Binds; resolves with what was bound. Rejects with the system's error. */
  async listen(at: Endpoint): Promise<Endpoint> {
    const injector = this.#server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    this.#door = await PeerDoor.open({
      at,
      connectionsMax: LINKS_MAX,
      accept: (socket) => injector.injectConnection(socket),
      // Whatever it was, it is no frame: the core drops it as one, and tells of it with its usual restraint.
      onMalformed: () => this.#events.frame(NO_FRAME),
    });
    return { host: at.host, port: this.#door.port };
  }

  send(to: MemberId, endpoint: Endpoint, bytes: Uint8Array): void {
    const link = this.#linkTo(to, formatEndpoint(endpoint));
    if (link === undefined || link.queuedBytes > QUEUED_BYTES_MAX) {
      this.#stats.messagesDropped += 1;
      return;
    }
    const now = this.#now();
    link.usedAt = now;
    link.unansweredSince ??= now;
    link.queuedBytes += bytes.length;
    this.#stats.messagesSent += 1;
    this.#stats.bytesSent += bytes.length;
    const isSmall = bytes.length <= GATHERED_FRAME_BYTES_MAX;
    if (!isSmall || link.gathered.length >= BATCH_FRAMES_MAX) flush(link);
    link.gathered.push(bytes);
    if (!isSmall) flush(link);
    else if (link.gathered.length === 1) queueMicrotask(() => flush(link));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    this.#isClosed = true;
    for (const [peer, link] of this.#links) this.#drop(peer, link);
    for (const { call } of this.#incoming) call.end();
    this.#server.forceShutdown();
    await this.#door?.close();
  }

  #linkTo(to: MemberId, address: string): Link | undefined {
    const held = this.#links.get(to);
    if (held !== undefined && held.address === address && !held.isBroken) return held;
    if (held !== undefined) this.#drop(to, held);
    const now = this.#now();
    const dialled = this.#dialled.get(to);
    if (dialled?.address === address && now - dialled.at < REDIAL_MS) return undefined;
    if (this.#links.size >= LINKS_MAX) return undefined;
    if (dialled !== undefined) this.#stats.reconnects += 1;
    this.#dialled.set(to, { address, at: now });
    this.#keepSweeping();
    const link = this.#dial(to, address);
    this.#links.set(to, link);
    return link;
  }

  #dial(to: MemberId, address: string): Link {
    const client = new grpc.Client(address, grpc.credentials.createInsecure(), CHANNEL);
    const stream = client.makeBidiStreamRequest(EXCHANGE.path, identity, identity);
    const link: Link = {
      address,
      client,
      stream,
      isBroken: false,
      unansweredSince: undefined,
      usedAt: this.#now(),
      queuedBytes: 0,
      gathered: [],
    };
    stream.on('data', () => {
      link.unansweredSince = undefined;
    });
    const onEnd = (): void => {
      if (link.isBroken) return;
      link.isBroken = true;
      this.#events.unreachable(to);
    };
    stream.on('error', onEnd);
    stream.on('end', onEnd);
    return link;
  }

  #drop(peer: MemberId, link: Link): void {
    link.isBroken = true;
    this.#links.delete(peer);
    link.stream.cancel();
    link.client.close();
  }

  /** A node without links, as one of gossip alone, does not wake for them. */
  #keepSweeping(): void {
    if (this.#sweeper !== undefined || this.#isClosed) return;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  #sweep(): void {
    const now = this.#now();
    if (this.#links.size + this.#incoming.size + this.#dialled.size === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
      return;
    }
    for (const [peer, link] of this.#links) {
      const isSilent = link.unansweredSince !== undefined && now - link.unansweredSince > SILENT_MS;
      if (isSilent && !link.isBroken) {
        this.#events.unreachable(peer);
        this.#drop(peer, link);
      } else if (link.isBroken || now - link.usedAt > UNUSED_MS) this.#drop(peer, link);
    }
    for (const [peer, { at }] of this.#dialled)
      if (now - at > UNUSED_MS && !this.#links.has(peer)) this.#dialled.delete(peer);
    for (const incoming of this.#incoming) if (incoming.isEchoOwed) this.#echo(incoming, now);
  }

  #onExchange(call: grpc.ServerDuplexStream<Buffer, Buffer>): void {
    const incoming: Incoming = { call, echoedAt: 0, isEchoOwed: false };
    this.#incoming.add(incoming);
    this.#keepSweeping();
    call.on('data', (bytes: Buffer) => {
      const frames = splitPeerBatch(plainBytes(bytes));
      this.#stats.messagesReceived += frames.length;
      this.#stats.bytesReceived += bytes.length;
      const now = this.#now();
      incoming.isEchoOwed = true;
      if (now - incoming.echoedAt >= ECHO_MS) this.#echo(incoming, now);
      for (const frame of frames) this.#events.frame(frame);
    });
    const onEnd = (): void => {
      this.#incoming.delete(incoming);
      call.end();
    };
    call.on('end', onEnd);
    call.on('error', onEnd);
    call.on('cancelled', onEnd);
  }

  #echo(incoming: Incoming, now: number): void {
    incoming.isEchoOwed = false;
    incoming.echoedAt = now;
    incoming.call.write(ECHO);
  }
}

/** After the turn that sent them, in its order. */
function flush(link: Link): void {
  const { gathered } = link;
  if (gathered.length === 0) return;
  link.gathered = [];
  if (link.isBroken) return;
  let queued = 0;
  for (const frame of gathered) queued += frame.length;
  const bytes = encodePeerBatch(gathered);
  link.stream.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), () => {
    link.queuedBytes -= queued;
  });
}
