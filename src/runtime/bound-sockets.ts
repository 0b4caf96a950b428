/**
 * The ports of a node. One that was set and is taken is an error that names it; one that was not set gives way to any free
 * one. A port is found free by binding it, never by probing.
 */
import { FunkError } from '../base/errors.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { TcpStreams, type StreamEvents } from './tcp-streams.ts';
import { UdpSocket } from './udp-socket.ts';

/** Tries for a port that is free for UDP and TCP alike. */
const PAIR_TRIES = 20;

export interface WantedEndpoint {
  readonly bind: Endpoint;
  readonly isPortSet: boolean;
}

/** An endpoint cannot be bound. Nothing was opened. */
export class EndpointUnusableError extends FunkError {
  readonly code = 'FUNK_ENDPOINT_UNUSABLE';
  readonly exitCode = 78;
  constructor(name: string, endpoint: Endpoint, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = isTaken(cause)
      ? 'the port is taken: choose another, or leave it out to take any free one'
      : code === 'EADDRNOTAVAIL'
        ? 'no interface of this machine has that address'
        : cause instanceof Error
          ? cause.message
          : String(cause);
    super(`${name} ${formatEndpoint(endpoint)}: ${why}`, { cause });
  }
}

/** Binds by `open`, at the wanted port or, when that one was only a default and is taken, at any. */
export async function bindAny<T>(name: string, wanted: WantedEndpoint, open: (at: Endpoint) => Promise<T>): Promise<T> {
  try {
    return await open(wanted.bind);
  } catch (error) {
    if (wanted.isPortSet || !isTaken(error)) throw new EndpointUnusableError(name, wanted.bind, error);
  }
  const anywhere = { ...wanted.bind, port: 0 };
  try {
    return await open(anywhere);
  } catch (error) {
    throw new EndpointUnusableError(name, anywhere, error);
  }
}

export interface GossipSockets {
  readonly tcp: TcpStreams;
  readonly udp: UdpSocket;
}

/** Gossip has one port number for both protocols. */
export async function bindGossip(
  wanted: WantedEndpoint,
  events: StreamEvents,
  onDatagram: (bytes: Uint8Array, from: Endpoint) => void,
): Promise<GossipSockets> {
  const openPair = async (at: Endpoint): Promise<GossipSockets> => {
    const tcp = await TcpStreams.listen(at, events);
    try {
      return { tcp, udp: await UdpSocket.bind(tcp.local, onDatagram) };
    } catch (error) {
      await tcp[Symbol.asyncDispose]();
      throw error;
    }
  };
  // A port that the kernel chose for TCP may be taken for UDP: then it chooses again.
  const openAnyPair = async (at: Endpoint): Promise<GossipSockets> => {
    for (let tries = 1; ; tries++) {
      try {
        return await openPair(at);
      } catch (error) {
        if (at.port !== 0 || tries >= PAIR_TRIES || !isTaken(error)) throw error;
      }
    }
  };
  return await bindAny('serf-endpoint', wanted, openAnyPair);
}

function isTaken(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE' || cause.message.includes('EADDRINUSE')) return true;
  }
  return false;
}
