/** The vocabulary of the Serf core: what it is told and what it answers. It owns a `Swim` and passes packets down to it. */
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipEvent, GossipOutcome, GossipRequest } from '../model/gossip-request.ts';
import type { RequestId, StreamId } from '../model/ids.ts';
import type { Member } from '../model/member.ts';
import type { LamportTimes } from '../wire/serf/snapshot-file.ts';

/** A request with the number that its one reply bears. */
type Asked<Request> = Request extends unknown ? Request & { readonly requestId: RequestId } : never;

export type SerfInput =
  /** Sockets are bound: this node appears in its own table, with these tags, and begins to gossip. Comes once, before all others. */
  | {
      readonly kind: 'start';
      readonly tags: ReadonlyMap<string, string>;
      /** What an earlier run had seen: what is older is no news. */
      readonly times?: LamportTimes;
    }
  | { readonly kind: 'datagram'; readonly from: Endpoint; readonly bytes: Uint8Array }
  /** A peer opened a TCP stream to us. */
  | { readonly kind: 'streamAccepted'; readonly stream: StreamId; readonly from: Endpoint }
  /** A stream that we asked for is open. */
  | { readonly kind: 'streamOpened'; readonly stream: StreamId }
  | { readonly kind: 'streamBytes'; readonly stream: StreamId; readonly bytes: Uint8Array }
  /** The peer closed its side, or the stream failed (dial included). Nothing more comes. */
  | { readonly kind: 'streamClosed'; readonly stream: StreamId; readonly error: string | undefined }
  /** Push/pull with each address; the reply says how many succeeded. The runtime has resolved names already. */
  | {
      readonly kind: 'join';
      readonly requestId: RequestId;
      readonly addresses: readonly Endpoint[];
      /** Take in the user events of the time before, as far as those whom we join remember them. */
      readonly replay?: boolean;
    }
  /** Replaces all tags of this node at once and spreads them. The caller has asked `checkTags`. */
  | { readonly kind: 'setTags'; readonly tags: ReadonlyMap<string, string> }
  /** Orderly leave: intent, broadcast, propagation delay; replied to when done or when its time is up. */
  | { readonly kind: 'leave'; readonly requestId: RequestId }
  | Asked<GossipRequest>
  /** The keyring file that `saveKeyring` of this number asked for was written; or why not. */
  | { readonly kind: 'keyringSaved'; readonly save: number; readonly error: string | undefined }
  /**
   * Another layer has an opinion on a member. `heard`: proof of life that gossip did not bring (ignored unless it is news);
   * `suspect`: start a suspicion of it now, by gossip's own rules.
   */
  | { readonly kind: 'hint'; readonly node: string; readonly hint: 'suspect' };

export type SerfEffect =
  | { readonly kind: 'sendDatagram'; readonly to: Endpoint; readonly bytes: Uint8Array }
  | { readonly kind: 'openStream'; readonly stream: StreamId; readonly to: Endpoint }
  | { readonly kind: 'sendStream'; readonly stream: StreamId; readonly bytes: Uint8Array }
  /** Sends what was given before, then closes. */
  | { readonly kind: 'closeStream'; readonly stream: StreamId }
  | { readonly kind: 'reply'; readonly requestId: RequestId; readonly outcome: SerfOutcome }
  | { readonly kind: 'notify'; readonly event: SerfEvent }
  /** Keep these keys (base64, the primary first) in the keyring file, in the order of the effects; answered by `keyringSaved`. */
  | { readonly kind: 'saveKeyring'; readonly save: number; readonly keys: readonly string[] };

export type SerfOutcome =
  | { readonly kind: 'joined'; readonly count: number; readonly errors: readonly string[] }
  | { readonly kind: 'left' }
  | GossipOutcome;

export type SerfEvent =
  | GossipEvent
  | {
      readonly kind: 'memberJoined' | 'memberLeft' | 'memberFailed' | 'memberUpdated' | 'memberReaped';
      readonly member: Member;
    }
  /** A name that another process bears too (memberlist's conflict). Told once in half a minute per name and address. */
  | { readonly kind: 'nameConflict'; readonly name: string; readonly ours: Endpoint; readonly theirs: Endpoint }
  /** Another process bears our name, lives, and has the vote of the members: this one must stop. Nothing was left or said. */
  | { readonly kind: 'nameLost'; readonly reason: string }
  /** The merge of a push/pull was refused by the merge rule given in the configuration. */
  | { readonly kind: 'mergeRefused'; readonly reason: string }
  /** A queue of broadcasts is longer than gossip carries away in good time; `dropped` of them were given up. */
  | {
      readonly kind: 'queueDeep';
      readonly queue: 'intent' | 'query' | 'event';
      readonly depth: number;
      readonly dropped: number;
    }
  /** At the word of a member, or our own: so many keys open packets now. */
  | { readonly kind: 'keysChanged'; readonly operation: 'install' | 'use' | 'remove'; readonly keys: number }
  /** The ring was changed, and a restart would not know of it. */
  | { readonly kind: 'keyringNotSaved'; readonly reason: string }
  /** The whole tags of a member could not be had, and why. Told once in half a minute; `unwarned` were not told before. */
  | { readonly kind: 'tagsMissing'; readonly node: string; readonly reason: string; readonly unwarned: number }
  | { readonly kind: 'dropped'; readonly reason: string; readonly from: Endpoint | undefined };
