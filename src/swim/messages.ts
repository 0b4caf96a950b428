/**
 * The vocabulary of the SWIM core: what it is told, what it answers, and the hooks it offers to the layer above.
 *
 * Everything in {@link SwimDelegate} is called synchronously inside `step` or `tick`, in protocol order: a member's
 * arrival is reported before the user message that came behind it in the same packet. The effects list is handed along, so
 * that a hook may send at once with `Swim.sendUserMessage`; a hook must not call `step` or `tick`.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { RequestId, StreamId } from '../model/ids.ts';

export type SwimInput =
  /** Sockets are bound: this node appears in its own table and begins to probe and gossip. Comes once, before all others. */
  | { readonly kind: 'start'; readonly meta: Uint8Array }
  | { readonly kind: 'datagram'; readonly from: Endpoint; readonly bytes: Uint8Array }
  /** A peer opened a TCP stream to us. */
  | { readonly kind: 'streamAccepted'; readonly stream: StreamId; readonly from: Endpoint }
  /** A stream that we asked for is open. */
  | { readonly kind: 'streamOpened'; readonly stream: StreamId }
  | { readonly kind: 'streamBytes'; readonly stream: StreamId; readonly bytes: Uint8Array }
  /** The peer closed its side, or the stream failed (dial included). Nothing more comes. */
  | { readonly kind: 'streamClosed'; readonly stream: StreamId; readonly error: string | undefined }
  /** Push/pull with each address; names are resolved already. Replied to with `joined`. */
  | { readonly kind: 'join'; readonly requestId: RequestId; readonly addresses: readonly Endpoint[] }
  /** Replaces our metadata (Serf's tags) under the next incarnation. At most {@link META_BYTES_MAX}; the caller has checked. */
  | { readonly kind: 'setMeta'; readonly meta: Uint8Array }
  /** Spreads dead(us, from us). Replied to with `left` when the word is out, nobody is there to hear it, or time is up. */
  | { readonly kind: 'leave'; readonly requestId: RequestId }
  /** Another layer doubts a member: start a suspicion of it now, by the ordinary rules. */
  | { readonly kind: 'hint'; readonly node: string; readonly hint: 'suspect' };

export type SwimEffect =
  | { readonly kind: 'sendDatagram'; readonly to: Endpoint; readonly bytes: Uint8Array }
  /** Streams that we open have even ids. */
  | { readonly kind: 'openStream'; readonly stream: StreamId; readonly to: Endpoint }
  | { readonly kind: 'sendStream'; readonly stream: StreamId; readonly bytes: Uint8Array }
  /** Sends what was given before, then closes. Nothing about this stream is awaited any more. */
  | { readonly kind: 'closeStream'; readonly stream: StreamId }
  | { readonly kind: 'reply'; readonly requestId: RequestId; readonly outcome: SwimOutcome };

export type SwimOutcome =
  /** How many addresses answered, and what the others failed with ("host:port: reason"). */
  | { readonly kind: 'joined'; readonly count: number; readonly errors: readonly string[] }
  /** `complete` is false when the leave timeout cut the spreading short. */
  | { readonly kind: 'left'; readonly complete: boolean }
  | { readonly kind: 'refused'; readonly reason: string };

/** What gossip believes of a member (wire-gossip 8). */
export type SwimMemberState = 'alive' | 'suspect' | 'dead' | 'left';

/** A row of the member table. A snapshot: a later change makes a new one. */
export interface SwimMember {
  readonly name: string;
  /** Four or sixteen bytes exactly as they came: peers compare them bytewise (wire-gossip 3.2). */
  readonly addressBytes: Uint8Array;
  /** The same, readable and normalised, for sockets and display. */
  readonly address: Endpoint;
  readonly meta: Uint8Array;
  /** Six bytes: minimum, maximum, spoken, of memberlist and of the delegate protocol. */
  readonly versions: Uint8Array;
  readonly incarnation: number;
  readonly state: SwimMemberState;
  /** When `state` last changed. */
  readonly changedAt: MonotonicMs;
}

export type SwimEvent =
  /** New, or back from dead or left. Our own arrival at start included. */
  | { readonly kind: 'memberJoined'; readonly member: SwimMember }
  /** Its metadata changed. */
  | { readonly kind: 'memberUpdated'; readonly member: SwimMember }
  /** Dead or left: `member.state` says which. Ourselves when we leave, too. */
  | { readonly kind: 'memberLeft'; readonly member: SwimMember }
  | { readonly kind: 'memberSuspected'; readonly member: SwimMember; readonly by: string }
  /** A suspicion ended well. */
  | { readonly kind: 'memberRefuted'; readonly member: SwimMember }
  /** Dead or left long enough: dropped from the table. */
  | { readonly kind: 'memberRemoved'; readonly member: SwimMember }
  /** A second process bears the name `held.name` at `theirs`. Its claim was ignored. */
  | { readonly kind: 'nameConflict'; readonly held: SwimMember; readonly theirs: Endpoint; readonly meta: Uint8Array }
  /** The process at `theirs` bears our own name, and answers to it. */
  | { readonly kind: 'nameTaken'; readonly theirs: Endpoint }
  /** A push/pull was not merged: versions do not fit, or the delegate refused it. */
  | { readonly kind: 'mergeRefused'; readonly reason: string; readonly peer: Endpoint }
  /** Somebody doubted us; we answered with a higher incarnation. */
  | { readonly kind: 'refuted'; readonly incarnation: number }
  | { readonly kind: 'pushPullFailed'; readonly peer: Endpoint; readonly reason: string }
  /** Only the TCP ping got through: UDP to this member is probably filtered. */
  | { readonly kind: 'datagramsBlocked'; readonly member: SwimMember }
  /** Something a peer sent was not used. `reason` is one of a few fixed words. */
  | { readonly kind: 'dropped'; readonly reason: string; readonly from: Endpoint | undefined };

/** One record of a push/pull or an alive message, before it is believed. */
export interface SwimClaim {
  readonly name: string;
  readonly addressBytes: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  /** Empty when the peer sent none. */
  readonly versions: Uint8Array;
  readonly incarnation: number;
  readonly state: SwimMemberState;
}

/** A question to one member by a stream of its own: a user message, answered by one. */
export interface SwimRequest {
  readonly bytes: Uint8Array;
  /** Until when the whole answer must be here. */
  readonly deadline: MonotonicMs;
  /** As it comes over the wire, sealed and packed. */
  readonly answerBytesMax: number;
  /** Exactly one of the two is called. `bytes` may share memory with the stream: copy to keep. */
  readonly client: {
    onAnswer(bytes: Uint8Array, now: MonotonicMs): void;
    onFailed(reason: string, now: MonotonicMs): void;
  };
}

/** The layer above. See the top of this file for when and how hooks are called. */
export interface SwimDelegate {
  onEvent(event: SwimEvent, now: MonotonicMs, effects: SwimEffect[]): void;
  /** A user message without its type byte, by UDP or TCP. `bytes` may share memory with the packet: copy to keep. */
  onUserMessage(bytes: Uint8Array, from: Endpoint, now: MonotonicMs, effects: SwimEffect[]): void;
  /**
   * Whether a user message that came on a stream asks for an answer on the same stream: then that, without type byte; else undefined, and
   * `onUserMessage` is called.
   */
  answerRequest(bytes: Uint8Array, from: Endpoint, now: MonotonicMs): Uint8Array | undefined;
  /** Opaque state for a push/pull; empty for none. `join`: the exchange was begun by a join call. */
  localState(join: boolean): Uint8Array;
  /** The peer's opaque state; called after its member list was merged, and only when it is not empty. */
  mergeRemoteState(bytes: Uint8Array, join: boolean, now: MonotonicMs, effects: SwimEffect[]): void;
  /** Whether `takeBroadcasts` would find anything: without news a node does not wake to gossip. */
  hasBroadcasts(): boolean;
  /**
   * User messages to fill a packet with, without type byte; each costs `overheadBytes` more than its length, together at
   * most `bytesMax`. The transmit is counted when it is taken.
   */
  takeBroadcasts(overheadBytes: number, bytesMax: number): readonly Uint8Array[];
  /** What rides on our UDP acks (Serf: the network coordinate); empty for nothing. */
  ackPayload(): Uint8Array;
  /** `node` answered a direct probe, after `roundTripMs`; undefined where this process was too late itself to tell. */
  onAckPayload(node: string, payload: Uint8Array, roundTripMs: number | undefined): void;
  /** A reason to refuse the whole exchange, or undefined. Asked for join exchanges only, about the peer's list. */
  refuseMerge(members: readonly SwimClaim[]): string | undefined;
  /** A reason to ignore an alive message (gossiped or merged) altogether, or undefined. */
  refuseAlive(claim: SwimClaim): string | undefined;
  /**
   * Whether `claim`, from another address, may take over the name of `held`. Of a dead one: at once, before the reclaim time.
   * Of a present one: because it is the same node, started again; then the higher incarnation counts, and no conflict is
   * reported. Of ourselves: because the claim is word of our former process, which we refute.
   */
  mayReclaim(held: SwimMember, claim: SwimClaim): boolean;
  /** The bearer `held` has not answered a row of direct pings: whether `claim`, from another address, may take over its name. */
  mayReplaceSilent(held: SwimMember, claim: SwimClaim): boolean;
}
