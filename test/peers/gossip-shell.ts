/** A Serf machine on real sockets: the smallest shell that does what the core decides. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { SeededRandom } from '../../src/base/random.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { RequestId, StreamId } from '../../src/model/ids.ts';
import { type SerfConfig, serfConfig } from '../../src/serf/config.ts';
import type { SerfEffect, SerfEvent, SerfInput, SerfOutcome } from '../../src/serf/messages.ts';
import { type MergeFilter, Serf } from '../../src/serf/serf.ts';

export interface GossipShellOptions {
  readonly name: string;
  readonly address: Endpoint;
  readonly tags?: ReadonlyMap<string, string>;
  readonly mergeFilter?: MergeFilter;
  readonly config?: Partial<Omit<SerfConfig, 'swim'>>;
}

export class GossipShell {
  readonly serf: Serf;
  readonly address: Endpoint;
  readonly events: SerfEvent[] = [];
  readonly #udp: UdpSocket = createSocket('udp4');
  readonly #tcp: Server = createServer();
  readonly #streams: Map<StreamId, Socket> = new Map();
  readonly #waiting: Map<RequestId, (outcome: SerfOutcome) => void> = new Map();
  #nextRequest = 1;
  #nextAccepted = 1;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor({ name, address, mergeFilter, config }: GossipShellOptions) {
    this.address = address;
    const settings = serfConfig({ ...config, swim: { name, advertise: address } });
    const random = new SeededRandom(Math.floor(performance.now() * 1_000));
    this.serf = new Serf({ config: settings, random, ...(mergeFilter === undefined ? {} : { mergeFilter }) });
  }

  static async start(options: GossipShellOptions): Promise<GossipShell> {
    const shell = new GossipShell(options);
    const { host, port } = options.address;
    shell.#udp.bind(port, host);
    shell.#tcp.listen(port, host);
    await Promise.all([once(shell.#udp, 'listening'), once(shell.#tcp, 'listening')]);
    shell.#udp.on('message', (bytes, { address, port: fromPort }) => {
      shell.give({ kind: 'datagram', from: { host: address, port: fromPort }, bytes });
    });
    shell.#tcp.on('connection', (socket) => {
      const stream = shell.#nextAccepted as StreamId;
      shell.#nextAccepted += 2;
      const from = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
      shell.#serve(stream, socket);
      shell.give({ kind: 'streamAccepted', stream, from });
    });
    shell.give({ kind: 'start', tags: options.tags ?? new Map() });
    return shell;
  }

  statusOf(name: string): string {
    return this.serf.member(name)?.status ?? 'unknown';
  }

  async join(to: Endpoint): Promise<SerfOutcome> {
    return this.ask((requestId) => ({ kind: 'join', requestId, addresses: [to] }));
  }

  /** Leaves in order, then closes the sockets. */
  async leave(): Promise<void> {
    await this.ask((requestId) => ({ kind: 'leave', requestId }));
    await this.close();
  }

  async ask(input: (id: RequestId) => SerfInput): Promise<SerfOutcome> {
    const id = this.#nextRequest as RequestId;
    this.#nextRequest += 1;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.give(input(id));
    });
  }

  give(input: SerfInput): void {
    if (this.#isClosed) return;
    const effects: SerfEffect[] = [];
    this.serf.step(input, performance.now(), effects);
    this.#perform(effects);
  }

  /** Without a word to anyone. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const socket of this.#streams.values()) socket.destroy();
    this.#udp.close();
    this.#tcp.close();
    await Promise.all([once(this.#udp, 'close'), once(this.#tcp, 'close')]);
  }

  #serve(stream: StreamId, socket: Socket): void {
    let failure: string | undefined;
    this.#streams.set(stream, socket);
    socket.on('data', (bytes) => this.give({ kind: 'streamBytes', stream, bytes }));
    socket.on('error', (error) => {
      failure = error.message;
    });
    socket.on('close', () => {
      if (this.#streams.delete(stream)) this.give({ kind: 'streamClosed', stream, error: failure });
    });
  }

  #perform(effects: readonly SerfEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
    this.serf.check();
    clearTimeout(this.#timer);
    const delayMs = Math.max(0, this.serf.nextDeadline() - performance.now());
    this.#timer = setTimeout(() => {
      const later: SerfEffect[] = [];
      this.serf.tick(performance.now(), later);
      this.#perform(later);
    }, delayMs);
  }

  #performOne(effect: SerfEffect): void {
    switch (effect.kind) {
      case 'sendDatagram':
        this.#udp.send(effect.bytes, effect.to.port, effect.to.host, () => {});
        break;
      case 'openStream': {
        const socket = connect({ host: effect.to.host, port: effect.to.port });
        this.#serve(effect.stream, socket);
        socket.on('connect', () => this.give({ kind: 'streamOpened', stream: effect.stream }));
        break;
      }
      case 'sendStream':
        this.#streams.get(effect.stream)?.write(effect.bytes);
        break;
      case 'closeStream': {
        const socket = this.#streams.get(effect.stream);
        this.#streams.delete(effect.stream);
        socket?.end();
        socket?.setTimeout(1_000, () => socket.destroy());
        break;
      }
      case 'saveKeyring':
        this.give({ kind: 'keyringSaved', save: effect.save, error: undefined });
        break;
      case 'reply':
        this.#waiting.get(effect.requestId)?.(effect.outcome);
        this.#waiting.delete(effect.requestId);
        break;
      case 'notify':
        this.events.push(effect.event);
        break;
    }
  }
}
