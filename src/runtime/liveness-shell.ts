/** Sockets, clock and one timer around a liveness core: what the checker and the endpoint have in common when used alone. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6, type AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { randomBytes } from 'node:crypto';
import { plainBytes } from '../base/bytes.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { LivenessConfig } from '../liveness/config.ts';
import { LIVENESS_SECRET_BYTES, Liveness } from '../liveness/liveness.ts';
import type { LivenessEffect, LivenessEvent, LivenessInput } from '../liveness/messages.ts';
import type { LivenessStats } from '../model/node-stats.ts';

/** Node refuses longer timers; a later wake-up is simply set again. */
const TIMER_MS_MAX = 0x7fff_ffff;

export class LivenessShell {
  readonly #core: Liveness;
  readonly #onEvent: (event: LivenessEvent) => void;
  readonly #sockets: Map<'udp4' | 'udp6', Socket> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(config: LivenessConfig, onEvent: (event: LivenessEvent) => void) {
    this.#core = new Liveness(config, randomBytes(LIVENESS_SECRET_BYTES));
    this.#onEvent = onEvent;
  }

  get stats(): Readonly<LivenessStats> {
    return this.#core.stats;
  }

  /** Binds the socket of this host's family; rejects with the system's error. */
  open(at: Endpoint): Promise<Endpoint> {
    const family = isIPv6(at.host) ? 'udp6' : 'udp4';
    const socket = this.#makeSocket(family);
    return new Promise((resolve, reject) => {
      const failed = (cause: Error): void => {
        this.#sockets.delete(family);
        socket.close();
        reject(cause);
      };
      socket.once('error', failed);
      socket.bind({ address: at.host, port: at.port, exclusive: true }, () => {
        socket.off('error', failed);
        const bound: AddressInfo = socket.address();
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  step(input: LivenessInput): void {
    if (this.#closed) return;
    const effects: LivenessEffect[] = [];
    this.#core.step(input, performance.now(), effects);
    this.#perform(effects);
  }

  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const closing = [...this.#sockets.values()].map(
      (socket) => new Promise<void>((resolve) => void socket.close(() => resolve())),
    );
    this.#sockets.clear();
    return Promise.all(closing).then(() => undefined);
  }

  #makeSocket(family: 'udp4' | 'udp6'): Socket {
    const socket = createSocket({ type: family, ipv6Only: family === 'udp6' });
    socket.on('message', (bytes, from) => {
      this.step({ kind: 'datagram', from: { host: from.address, port: from.port }, bytes: plainBytes(bytes) });
    });
    // A peer that cannot be reached is silence here as anywhere; the misses say it.
    socket.on('error', () => undefined);
    this.#sockets.set(family, socket);
    return socket;
  }

  #turn = (): void => {
    if (this.#closed) return;
    const effects: LivenessEffect[] = [];
    this.#core.tick(performance.now(), effects);
    this.#perform(effects);
  };

  #perform(effects: readonly LivenessEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'sendDatagram':
          this.#send(effect.to, effect.bytes);
          break;
        case 'notify':
          this.#onEvent(effect.event);
          break;
      }
    }
    this.#sleep();
  }

  #send(to: Endpoint, bytes: Uint8Array): void {
    if (to.port === 0 || this.#closed) return;
    const family = isIPv6(to.host) ? 'udp6' : 'udp4';
    const socket = this.#sockets.get(family) ?? this.#makeSocket(family);
    socket.send(bytes, to.port, to.host, () => undefined);
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    const at = this.#core.nextDeadline();
    if (this.#closed || at === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(at - performance.now())));
    this.#timer = setTimeout(this.#turn, delay);
  }
}
