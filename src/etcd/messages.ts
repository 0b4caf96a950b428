/**
 * The vocabulary between a node and a standalone etcd, in the terms of its v3 API: keys are text, revisions safe integers, a lease has an
 * id that the node chose. The shell carries questions and watches out; every question is answered once, in any order.
 */
import type { ClusterId, LogIndex } from '../model/ids.ts';
import type { SnapshotMeta } from '../model/log.ts';
import type { RaftEffect } from '../raft/messages.ts';

/** All keys from `from` on, and below `to`. */
export interface KeyRange {
  readonly from: string;
  readonly to: string;
}

export interface EtcdPut {
  readonly key: string;
  readonly value: Uint8Array;
  /** The key goes when this lease ends. */
  readonly lease?: number;
}

/** Holds when the key was created at this revision; 0: when there is none. */
export interface EtcdGuard {
  readonly key: string;
  readonly createRevision: number;
}

export type EtcdQuestion =
  | { readonly kind: 'grant'; readonly lease: number; readonly ttlSeconds: number }
  | { readonly kind: 'keepAlive'; readonly lease: number }
  | { readonly kind: 'revoke'; readonly lease: number }
  /** All of it or nothing, when every guard holds. */
  | {
      readonly kind: 'txn';
      readonly guards: readonly EtcdGuard[];
      readonly puts: readonly EtcdPut[];
      readonly deletes: readonly KeyRange[];
    }
  /** Linearizable. The first `limit` keys, in order. */
  | {
      readonly kind: 'range';
      readonly range: KeyRange;
      readonly limit: number;
      /** As of this revision; unset: now. */
      readonly revision?: number;
    };

export interface EtcdKeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** 0: none. */
  readonly lease: number;
}

export type EtcdAnswer =
  /** `ttlSeconds`: what is left; of a lease that is no more, 0. */
  | { readonly kind: 'lease'; readonly ttlSeconds: number }
  | { readonly kind: 'revoked' }
  /** `store`: which etcd has answered; another number is another one. */
  | { readonly kind: 'txn'; readonly succeeded: boolean; readonly revision: number; readonly store: number }
  | {
      readonly kind: 'range';
      readonly kvs: readonly EtcdKeyValue[];
      readonly more: boolean;
      readonly revision: number;
      readonly store: number;
    }
  /** It may have been done, unless etcd has refused it. */
  | { readonly kind: 'failed'; readonly reason: string; readonly isRefused: boolean };

export type EtcdEvent =
  | { readonly kind: 'put'; readonly kv: EtcdKeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: number };

export type EtcdInput =
  | { readonly kind: 'etcdAnswer'; readonly ask: number; readonly answer: EtcdAnswer }
  /** All changes of one or more revisions, in order, none left out; `revision`: the last one. */
  | {
      readonly kind: 'etcdEvents';
      readonly watch: number;
      readonly events: readonly EtcdEvent[];
      readonly revision: number;
    }
  /** `isCompacted`: what it would have to tell next is not known to etcd any more. */
  | { readonly kind: 'etcdWatchEnded'; readonly watch: number; readonly isCompacted: boolean };

/** For the shell. */
export type EtcdRequest =
  | { readonly kind: 'askEtcd'; readonly ask: number; readonly question: EtcdQuestion }
  /** Tell every change in `range` from `fromRevision` on, until it ends. */
  | {
      readonly kind: 'watchEtcd';
      readonly watch: number;
      readonly range: KeyRange;
      readonly fromRevision: number;
    }
  | { readonly kind: 'unwatchEtcd'; readonly watch: number };

/** What agreement through etcd asks of the replica: what Raft asks, and what only etcd needs. */
export type EtcdLogEffect =
  | RaftEffect
  | EtcdRequest
  /** The cluster has this id; told before anything of its log. `isFounder`: this node has just founded it. */
  | { readonly kind: 'belongs'; readonly clusterId: ClusterId; readonly isFounder: boolean }
  /** The state through `meta.lastLog` takes the place of everything so far. */
  | { readonly kind: 'image'; readonly meta: SnapshotMeta; readonly bytes: Uint8Array }
  /** There is an image in etcd through that index: of this node or of another that led. */
  | { readonly kind: 'imageKept'; readonly index: LogIndex }
  /** An image that was offered is not written to its end. */
  | { readonly kind: 'imageGivenUp' };
