/**
 * HTTP/2 connections to the owners of shards, one for each endpoint, shared by all calls to it. Ours and not those of a gRPC client: they know
 * whether a request has left, redial when somebody wants to and not by a back-off of their own, and end when their endpoint does.
 */
import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from 'node:http2';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { tlsSettings } from './owner-tls.ts';
import { OwnerUnreachableError, type ShardRouter } from './shard-router.ts';

/** An owner in the same network answers in milliseconds; one that is gone must not hold requests that could go elsewhere. */
const CONNECT_MS = 1_000;
/** Between two attempts at an endpoint: at first, and at most. */
const REDIAL_MS = 50;
const REDIAL_MS_MAX = 1_000;
/** A connection with calls on it is asked this often whether it is alive, and has as long to answer. */
const PING_MS = 5_000;
/** Calls under way when their endpoint goes get this long to end. */
const GRACE_MS = 5_000;
/** What a stream may be ahead of its reader. */
const WINDOW_BYTES = 1024 * 1024;
/** Of all streams of a connection together. */
const SESSION_WINDOW_BYTES = 16 * 1024 * 1024;

interface Link {
  readonly session: ClientHttp2Session;
  /** Settled as the dialling ends. */
  readonly dialling: Promise<ClientHttp2Session>;
  isReady: boolean;
}

export class OwnerSessions implements Disposable {
  readonly #router: ShardRouter;
  readonly #links: Map<string, Link> = new Map();
  /** Not in use for new calls any more. */
  readonly #leaving: Set<ClientHttp2Session> = new Set();
  readonly #failures: Map<string, { readonly retryAt: number; readonly delayMs: number }> = new Map();
  readonly #unsubscribe: () => void;
  #isClosed = false;

  constructor(router: ShardRouter) {
    this.#router = router;
    this.#unsubscribe = router.onEndpointGone((address) => this.#onGone(address));
  }

  /** Connections that are open or being opened. */
  get open(): number {
    return this.#links.size + this.#leaving.size;
  }

  /** The connection, or the promise of one. @throws {OwnerUnreachableError} for an endpoint that was dialled in vain just now. */
  reach(endpoint: Endpoint): ClientHttp2Session | Promise<ClientHttp2Session> {
    const address = formatEndpoint(endpoint);
    if (this.#isClosed) throw new OwnerUnreachableError('the router is closed', REDIAL_MS_MAX);
    const held = this.#links.get(address);
    if (held !== undefined) return held.isReady ? held.session : held.dialling;
    const retryInMs = (this.#failures.get(address)?.retryAt ?? 0) - this.#router.now();
    if (retryInMs > 0) throw new OwnerUnreachableError(`${address} does not answer`, retryInMs);
    return this.#dial(address).dialling;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#unsubscribe();
    for (const { session } of this.#links.values()) session.destroy();
    for (const session of this.#leaving) session.destroy();
  }

  #dial(address: string): Link {
    const { tls } = this.#router;
    const options: SecureClientSessionOptions = { settings: { enablePush: false, initialWindowSize: WINDOW_BYTES } };
    const session =
      tls === undefined
        ? connect(`http://${address}`, options)
        : connect(`https://${address}`, { ...options, ...tlsSettings(tls) });
    this.#router.counts.onConnections(1);
    const dialling = new Promise<ClientHttp2Session>((resolve, reject) => {
      const limit = setTimeout(() => session.destroy(), CONNECT_MS);
      let cause: Error | undefined;
      session.once('connect', () => {
        clearTimeout(limit);
        // Given up in the same moment: `close` follows, and settings cannot be changed any more.
        if (session.destroyed) return;
        session.setLocalWindowSize(SESSION_WINDOW_BYTES);
        link.isReady = true;
        this.#failures.delete(address);
        this.#watch(session);
        resolve(session);
      });
      // It ends in `close`, too; that is where it counts.
      session.on('error', (error) => {
        cause = error;
      });
      session.once('close', () => {
        clearTimeout(limit);
        this.#onClose(address, link);
        reject(new OwnerUnreachableError(`${address} does not answer`, REDIAL_MS, { cause }));
      });
      // The other end takes no more calls; those under way go on.
      session.once('goaway', () => this.#retire(address, session));
    });
    // Whoever waits for it has a promise of his own.
    dialling.catch(() => undefined);
    const link: Link = { session, dialling, isReady: false };
    this.#links.set(address, link);
    return link;
  }

  #onClose(address: string, link: Link): void {
    this.#leaving.delete(link.session);
    this.#router.counts.onConnections(-1);
    if (this.#links.get(address) === link) this.#links.delete(address);
    if (link.isReady || this.#isClosed) return;
    const before = this.#failures.get(address)?.delayMs;
    const delayMs = before === undefined ? REDIAL_MS : Math.min(2 * before, REDIAL_MS_MAX);
    this.#failures.set(address, { retryAt: this.#router.now() + delayMs, delayMs });
  }

  #retire(address: string, session: ClientHttp2Session): void {
    if (this.#links.get(address)?.session === session) this.#links.delete(address);
    if (session.destroyed) return;
    this.#leaving.add(session);
    session.close();
  }

  #onGone(address: string): void {
    this.#failures.delete(address);
    const link = this.#links.get(address);
    if (link === undefined) return;
    this.#retire(address, link.session);
    if (!link.isReady) link.session.destroy();
    const limit = setTimeout(() => link.session.destroy(), GRACE_MS);
    limit.unref();
    link.session.once('close', () => clearTimeout(limit));
  }

  /** A host that went without a word leaves its connections standing; those with calls on them have to answer. */
  #watch(session: ClientHttp2Session): void {
    let isAnswered = true;
    const timer = setInterval(() => {
      if (!isAnswered) {
        session.destroy();
        return;
      }
      if (session.destroyed) return;
      isAnswered = !session.ping(() => {
        isAnswered = true;
      });
    }, PING_MS);
    timer.unref();
    session.once('close', () => clearInterval(timer));
  }
}
