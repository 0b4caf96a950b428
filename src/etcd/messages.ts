/**
 * The vocabulary between a node and a standalone etcd, in the terms of its v3 API: keys are text, revisions safe integers, a lease has an
 * id that the node chose. The shell carries questions and watches out; every question is answered once, in any order.
 */
import type { ClusterId } from '../model/ids.ts';
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
  /** Linearizable. At most `limit` keys, in order or from the last one back. */
  | {
      readonly kind: 'range';
      readonly range: KeyRange;
      readonly limit: number;
      readonly isBackwards?: boolean;
      readonly keysOnly?: boolean;
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
  | { readonly kind: 'txn'; readonly succeeded: boolean; readonly revision: number }
  | {
      readonly kind: 'range';
      readonly kvs: readonly EtcdKeyValue[];
      readonly more: boolean;
      readonly revision: number;
    }
  /** No answer has come: it may have been done. */
  | { readonly kind: 'failed'; readonly reason: string };

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
  | { readonly kind: 'etcdWatchEnded'; readonly watch: number; readonly reason: string };

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
  /** An image that was offered is kept in etcd, or will not be. */
  | { readonly kind: 'imageEnded'; readonly meta: SnapshotMeta; readonly isKept: boolean };
