import type { Endpoint } from '../model/endpoint.ts';

/** Datagrams may be lost, doubled or reordered. `send` never throws; an unreachable peer is silence. */
export interface DatagramPort extends AsyncDisposable {
  readonly local: Endpoint;
  send(to: Endpoint, bytes: Uint8Array): void;
}
