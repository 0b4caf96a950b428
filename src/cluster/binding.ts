/** Carries out what {@link Affiliation} concludes: founding, joining, dissolving, each with its word from the disk. */
import { assert, present, unreachable } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Random } from '../base/random.ts';
import type { EtcdLogConfig } from '../etcd/config.ts';
import { EtcdLog } from '../etcd/etcd.ts';
import type { EtcdLogEffect } from '../etcd/messages.ts';
import type { Dissolution } from '../model/dissolution.ts';
import type { ClusterId, MemberId } from '../model/ids.ts';
import type { RecoveredLog } from '../model/log.ts';
import { EMPTY_RECOVERED_LOG } from '../model/log.ts';
import type { NodeKind } from '../model/node-state.ts';
import type { Timing } from '../model/timing.ts';
import { encodeCommand } from '../wire/command/command.ts';
import type { PeerMessage } from '../wire/peer/peer-message.ts';
import type { Founding } from './agreed-state.ts';
import { type Affiliation, isOnlyVoter } from './affiliation.ts';
import type { ClusterConfig } from './config.ts';
import { type Core, notify } from './core.ts';
import { foundingLog, mintClusterId } from './founding-log.ts';
import type { ClusterEffect } from './messages.ts';
import type { Neighbourhood, Peer } from './neighbourhood.ts';

/** The founder's first batch; Raft counts its own from 1. */
const FOUNDING_BATCH = 0;

export interface BindingHost {
  core(): Core;
  readonly affiliation: Affiliation;
  readonly neighbourhood: Neighbourhood;
  readonly random: Random;
  readonly kind: NodeKind;
  readonly clusterName: string;
  readonly shardCount: number;
  readonly timing: Timing;
  wallMs(now: MonotonicMs): number;
  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void;
  /** The node is of this cluster from now on, or of none: tags say so. */
  setClusterId(clusterId: ClusterId | undefined, now: MonotonicMs, effects: ClusterEffect[]): void;
  /** New cores, for a member that the cluster has never seen. */
  rebuild(self: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void;
}

export class Binding {
  readonly #host: BindingHost;
  /** What the disk was asked to make durable. */
  #pending: { readonly clusterId: ClusterId; readonly founding: RecoveredLog | undefined } | undefined;
  #isResetting = false;
  /** What the reset that is under way gives up. */
  #dissolution: Dissolution | undefined;

  constructor(host: BindingHost) {
    this.#host = host;
  }

  evaluate(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#pending !== undefined || this.#isResetting) return;
    const { affiliation, neighbourhood } = this.#host;
    const { self, replica, holding } = this.#host.core();
    const step = affiliation.evaluate(self, neighbourhood, replica, now);
    if (step === undefined) return;
    switch (step.kind) {
      case 'found':
        this.#found(self, now, effects);
        return;
      case 'follow':
        affiliation.follow(step.clusterId);
        if (this.#host.kind === 'voter') effects.push({ kind: 'rememberCluster', clusterId: step.clusterId });
        this.#host.setClusterId(step.clusterId, now, effects);
        return;
      case 'forget':
        affiliation.forget();
        this.#host.rebuild(self, now, effects);
        return;
      case 'ask':
        this.#host.send(step.member, { kind: 'request', id: 0, ask: 'describe' }, effects);
        return;
      case 'dissolve': {
        const ours = present(replica.clusterId, 'what dissolves has an id');
        // Nothing is served, granted or written any more: what the old log were still given would meet a closed store.
        holding.step({ kind: 'stopping' }, now, effects);
        replica.fallSilent('its cluster dissolves', now, effects);
        notify({ kind: 'clusterDissolved', ours, into: step.into }, effects);
        this.#dissolution = isOnlyVoter(replica.configuration, self) ? { clusterId: ours, member: self } : undefined;
        this.startOver(effects);
        return;
      }
      case 'askFormer':
        this.#host.send(step.member, { kind: 'request', id: 0, ask: 'hasDissolved' }, effects);
        return;
      case 'conflict': {
        const ours = present(replica.clusterId, 'who conflicts has an id');
        notify({ kind: 'clusterConflict', ours, theirs: step.theirs, node: step.node }, effects);
        return;
      }
      default:
        unreachable(step);
    }
  }

  /** Sets the data aside; what the disk answers makes this node a new member, bound to nothing. */
  startOver(effects: ClusterEffect[]): void {
    this.#isResetting = true;
    effects.push({ kind: 'resetLog', dissolved: this.#dissolution });
  }

  /** A leader speaks Raft to us: it has added this node. False when this node cannot become its member. */
  bind(clusterId: ClusterId, leader: Peer | undefined, effects: ClusterEffect[]): boolean {
    const { affiliation, kind } = this.#host;
    const mayBind =
      kind === 'voter' &&
      !affiliation.isBound &&
      !this.#isResetting &&
      (affiliation.clusterId ?? clusterId) === clusterId &&
      // A founder's word may come before its gossip.
      leader !== undefined &&
      (leader.clusterId ?? clusterId) === clusterId;
    if (!mayBind) return false;
    if (this.#pending !== undefined) return true;
    this.#pending = { clusterId, founding: undefined };
    effects.push({ kind: 'identify', clusterId });
    return true;
  }

  onIdentified(clusterId: ClusterId, now: MonotonicMs, effects: ClusterEffect[]): void {
    const pending = present(this.#pending, 'only what we bind is identified');
    assert(pending.clusterId === clusterId, 'the disk made durable what it was asked to');
    this.#host.affiliation.bind(clusterId);
    if (pending.founding === undefined) {
      this.#pending = undefined;
      this.#open(clusterId, EMPTY_RECOVERED_LOG, now, effects);
      notify({ kind: 'clusterJoined', clusterId }, effects);
      return;
    }
    const { hardState, entries } = pending.founding;
    effects.push({
      kind: 'persist',
      batch: { batchSeq: FOUNDING_BATCH, underTerm: hardState.term, hardState, entries },
    });
  }

  /** True when the batch was the founder's and Raft has not asked for it. */
  onPersisted(batchSeq: number, now: MonotonicMs, effects: ClusterEffect[]): boolean {
    const pending = this.#pending;
    if (batchSeq !== FOUNDING_BATCH || pending?.founding === undefined) return false;
    this.#pending = undefined;
    notify({ kind: 'clusterFounded', clusterId: pending.clusterId }, effects);
    this.#open(pending.clusterId, pending.founding, now, effects);
    return true;
  }

  /** The old data is set aside; `self` is a member that nobody knows yet. */
  onLogReset(self: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#isResetting = false;
    this.#host.affiliation.dissolved(this.#dissolution);
    this.#dissolution = undefined;
    this.#host.rebuild(self, now, effects);
  }

  /** A standalone etcd keeps the log: the node reads it there, and which cluster it is of. Nothing of it is on a disk here. */
  openEtcd({ etcd, kind, sharding }: ClusterConfig, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (etcd === undefined || kind === 'non-member') return;
    const { self, replica } = this.#host.core();
    const found = (): ReturnType<EtcdLogConfig['found']> => ({
      clusterId: mintClusterId(this.#host.random),
      command: encodeCommand({ kind: 'found', ...this.#founding(now) }),
    });
    const mayLead = (): boolean => kind === 'voter' && !replica.state.isExcluded(self);
    const config = { ...etcd, clockDrift: sharding.clockDrift, mayLead, found };
    replica.openEtcd(self, new EtcdLog(config, self, this.#host.random), now, effects);
  }

  onBelongs(
    { clusterId, isFounder }: Extract<EtcdLogEffect, { kind: 'belongs' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    this.#host.affiliation.follow(clusterId);
    this.#host.setClusterId(clusterId, now, effects);
    notify({ kind: isFounder ? 'clusterFounded' : 'clusterJoined', clusterId }, effects);
  }

  #founding(now: MonotonicMs): Founding {
    const { clusterName, shardCount, timing } = this.#host;
    return { clusterName, createdMs: Math.round(this.#host.wallMs(now)), shardCount, timing };
  }

  #found(self: MemberId, now: MonotonicMs, effects: ClusterEffect[]): void {
    const founding = foundingLog(self, this.#founding(now));
    const clusterId = mintClusterId(this.#host.random);
    this.#pending = { clusterId, founding };
    effects.push({ kind: 'identify', clusterId });
  }

  #open(clusterId: ClusterId, log: RecoveredLog, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#host.setClusterId(clusterId, now, effects);
    const { self, replica } = this.#host.core();
    replica.open(self, log, now, effects);
  }
}
