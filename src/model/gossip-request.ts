/**
 * What an application or an operator may ask of the gossip layer, and what it answers: plain values, so that they cross a thread
 * or a process. The semantics are Serf's (wire-gossip.md 14 to 18).
 */

export interface QueryParameters {
  readonly name: string;
  readonly payload: Uint8Array;
  /** Only these members answer; everyone when it is not given. */
  readonly nodes?: readonly string[];
  /** Only members whose tag matches the regular expression answer, for every tag named. */
  readonly tags?: ReadonlyMap<string, string>;
  /** Whoever takes the query in says so, even when it has no answer. */
  readonly wantsAck?: boolean;
  /** Through so many other members each answer comes a second time: 0 to 5. */
  readonly relayFactor?: number;
  /** Serf's default when it is not given: gossip interval * query multiplier * log10(n + 1). */
  readonly timeoutMs?: number;
}

export type KeyOperation = 'install' | 'use' | 'remove' | 'list';

export type GossipRequest =
  /** A failed member becomes a left one, everywhere; with `prune` it is forgotten at once. One that lives objects. */
  | { readonly kind: 'forceLeave'; readonly node: string; readonly prune: boolean }
  /** Spread to every member, once each. Takes effect here at once. */
  | { readonly kind: 'userEvent'; readonly name: string; readonly payload: Uint8Array; readonly coalesce: boolean }
  /** Acks and responses come as events with this request's `query` number; the outcome comes when its time is up. */
  | { readonly kind: 'query'; readonly query: number; readonly parameters: QueryParameters }
  /** Ends a query of ours before its time. */
  | { readonly kind: 'closeQuery'; readonly query: number }
  /** Answers a query that came as an event, by its `token`. Refused after its deadline, when it is too long, and the second time. */
  | { readonly kind: 'respond'; readonly token: number; readonly payload: Uint8Array }
  /** On every member, by Serf's internal queries. `key` in base64; not for `list`. */
  | { readonly kind: 'keys'; readonly operation: KeyOperation; readonly key?: string; readonly relayFactor?: number }
  /** Estimated from network coordinates; `to` is this node when it is not given. */
  | { readonly kind: 'roundTrip'; readonly from: string; readonly to?: string }
  | { readonly kind: 'coordinate'; readonly node: string };

/** Vivaldi with heights (Dabek et al. 2004; Ledlie et al. 2007), in seconds, as Serf computes and publishes it. */
export interface NetworkCoordinate {
  readonly vec: readonly number[];
  readonly error: number;
  readonly adjustment: number;
  readonly height: number;
}

export interface KeysOutcome {
  readonly kind: 'keys';
  readonly members: number;
  readonly responses: number;
  readonly failures: number;
  /** What single members said against it, by name. */
  readonly messages: ReadonlyMap<string, string>;
  /** How many members hold each key (base64). */
  readonly keys: ReadonlyMap<string, number>;
  readonly primaryKeys: ReadonlyMap<string, number>;
}

export type GossipOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'queryEnded'; readonly acks: number; readonly responses: number }
  | KeysOutcome
  | { readonly kind: 'roundTrip'; readonly seconds: number }
  | { readonly kind: 'coordinate'; readonly coordinate: NetworkCoordinate | undefined }
  /** Nothing was done; `reason` is for the caller's eyes. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Told to applications; members of every kind of process may have sent them. */
export type GossipEvent =
  | {
      readonly kind: 'userEvent';
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array;
      readonly coalesce: boolean;
    }
  /** Someone asks. `token` answers it (`respond`) until `deadline` (monotonic ms). */
  | {
      readonly kind: 'queryAsked';
      readonly token: number;
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array;
      readonly source: string;
      readonly deadline: number;
    }
  /** To a query of ours. */
  | { readonly kind: 'queryAck'; readonly query: number; readonly from: string }
  | { readonly kind: 'queryResponse'; readonly query: number; readonly from: string; readonly payload: Uint8Array }
  | { readonly kind: 'queryEnded'; readonly query: number };
