/** The vocabulary of the liveness checker: short UDP packets, echoed by whoever is alive (clusterfunk's way). */
import type { Endpoint } from '../model/endpoint.ts';

export type LivenessInput =
  /** Check `id` at `endpoint` from now on; a known id with another endpoint moves there. */
  | { readonly kind: 'watch'; readonly id: string; readonly endpoint: Endpoint }
  | { readonly kind: 'unwatch'; readonly id: string }
  | { readonly kind: 'clear' }
  /** `id` was heard in some other way: while that lasts it is asked as seldom as a dead peer. */
  | { readonly kind: 'heard'; readonly id: string }
  | { readonly kind: 'datagram'; readonly from: Endpoint; readonly bytes: Uint8Array };

export type LivenessEffect =
  | { readonly kind: 'sendDatagram'; readonly to: Endpoint; readonly bytes: Uint8Array }
  | { readonly kind: 'notify'; readonly event: LivenessEvent };

export type LivenessEvent =
  | { readonly kind: 'alive'; readonly id: string }
  | { readonly kind: 'dead'; readonly id: string }
  | { readonly kind: 'dropped'; readonly reason: string };
