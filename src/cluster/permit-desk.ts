/**
 * The restart permit: one node at a time may be restarted, and only while everything else is whole. The log says who has it; the leader
 * decides who may, and ends it when its time is up or the restarted node is back.
 *
 * Nothing of the safety of shards or votes hangs on it: it keeps operators from taking two nodes down at once, as their own step by step would.
 */
import type { MonotonicMs } from '../base/machine.ts';
import type { LogIndex, NodeId, RequestId } from '../model/ids.ts';
import {
  PERMIT_HOLDER_BYTES_MAX,
  PERMIT_LEASE_MS_MAX,
  PERMIT_LEASE_MS_MIN,
  type RestartPermit,
} from '../model/restart-permit.ts';
import { utf8 } from '../base/bytes.ts';
import { encodeCommand } from '../wire/command/command.ts';
import { notify } from './core.ts';
import type { Holding } from './holding.ts';
import type { ClusterEffect } from './messages.ts';
import type { Replica } from './replica.ts';
import { type Done, refusal } from './steward.ts';

/** How often a leader looks whether the node is back. */
const LOOK_MS = 250;
/** What was asked for is agreed on within this, or nobody knows. */
const REQUEST_MS = 5_000;
const WAITS_MAX = 64;

export interface PermitDeskHost {
  readonly replica: Replica;
  readonly holding: Holding;
  /** Why voters are not as they should be; undefined when they are. */
  unsteady(now: MonotonicMs): string | undefined;
  nextRequestId(): RequestId;
}

interface Wait {
  readonly deadline: MonotonicMs;
  /** What has come of it; undefined as long as nothing has. */
  readonly outcome: (permit: RestartPermit | undefined) => 'done' | 'lost' | undefined;
  readonly done: Done;
}

export class PermitDesk {
  readonly #host: PermitDeskHost;
  #waits: Wait[] = [];
  /** The permit that this leader watches, and when it ends by itself. */
  #watched: { readonly index: LogIndex; readonly until: MonotonicMs } | undefined;
  #isEnding = false;
  #nextAt: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(host: PermitDeskHost) {
    this.#host = host;
  }

  nextDeadline(): MonotonicMs {
    return this.#nextAt;
  }

  onRoleChanged(isLeader: boolean, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#watched = undefined;
    this.#isEnding = false;
    this.#nextAt = isLeader ? now : Number.POSITIVE_INFINITY;
    if (isLeader) return;
    const waits = this.#waits;
    this.#waits = [];
    for (const { done } of waits)
      done(refusal('OUTCOME_UNKNOWN', 'leadership was lost before the request had ended'), now, effects);
  }

  take(
    asked: { readonly holder: string; readonly node: NodeId; readonly leaseMs: number },
    done: Done,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    const { holder, node, leaseMs } = asked;
    const problem = problemOf(asked) ?? this.#whyNot(holder, now);
    if (problem !== undefined) {
      done(refusal('REFUSED', problem), now, effects);
      return;
    }
    const boot = this.#host.holding.sharding.holderBoot(node) ?? 0;
    const after = this.#host.replica.state.permit?.index ?? 0;
    this.#propose(
      encodeCommand({ kind: 'takePermit', holder, node, boot: boot as RestartPermit['boot'], leaseMs }),
      now,
      effects,
    );
    const outcome = (permit: RestartPermit | undefined): ReturnType<Wait['outcome']> => {
      if (permit === undefined || permit.index === after) return undefined;
      return permit.holder === holder ? 'done' : 'lost';
    };
    this.#wait({ deadline: now + REQUEST_MS, outcome, done }, now, effects);
  }

  /** Done, too, when nobody has it. */
  give(holder: string, done: Done, now: MonotonicMs, effects: ClusterEffect[]): void {
    const held = this.#host.replica.state.permit;
    if (held === undefined) {
      done({ kind: 'done', count: 0 }, now, effects);
      return;
    }
    if (held.holder !== holder) {
      done(refusal('REFUSED', `${held.holder} has the permit, for node ${held.node}`), now, effects);
      return;
    }
    this.#end(held, now, effects);
    const outcome = (permit: RestartPermit | undefined): ReturnType<Wait['outcome']> =>
      permit?.index === held.index ? undefined : 'done';
    this.#wait({ deadline: now + REQUEST_MS, outcome, done }, now, effects);
  }

  /** Every node hears of it; the leader answers those who asked. */
  onApplied(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { permit } = this.#host.replica.state;
    notify({ kind: 'restartPermitChanged', permit }, effects);
    this.#isEnding = false;
    this.#settle(now, effects);
    if (this.#nextAt !== Number.POSITIVE_INFINITY) this.#nextAt = now;
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (now < this.#nextAt) return;
    const { replica } = this.#host;
    const { permit } = replica.state;
    this.#settle(now, effects);
    this.#nextAt = now + LOOK_MS;
    if (!replica.isLeader || replica.raft?.isReady !== true) return;
    if (permit === undefined) {
      this.#watched = undefined;
      // Nothing to look after: the next command that changes it wakes this desk.
      if (this.#waits.length === 0) this.#nextAt = now + REQUEST_MS;
      return;
    }
    if (this.#watched?.index !== permit.index) this.#watched = { index: permit.index, until: now + permit.leaseMs };
    if (this.#isEnding) return;
    if (now >= this.#watched.until || this.#isBack(permit, now)) this.#end(permit, now, effects);
  }

  /** The node runs again, as another process, and all is as it should be. */
  #isBack({ node, boot }: RestartPermit, now: MonotonicMs): boolean {
    const present = this.#host.holding.sharding.holderBoot(node);
    return boot !== 0 && present !== undefined && present !== boot && this.#unwell(now) === undefined;
  }

  #whyNot(holder: string, now: MonotonicMs): string | undefined {
    const { permit } = this.#host.replica.state;
    if (permit !== undefined && permit.holder !== holder) {
      const leftMs = (this.#watched?.index === permit.index ? this.#watched.until : now + permit.leaseMs) - now;
      return `${permit.holder} has the permit, for node ${permit.node}, for ${Math.ceil(leftMs / 1_000)} s more at most`;
    }
    if (this.#waits.length >= WAITS_MAX) return 'too many requests at once';
    // Whoever has it and asks for more time has its node down, perhaps.
    return permit === undefined ? this.#unwell(now) : undefined;
  }

  #unwell(now: MonotonicMs): string | undefined {
    return this.#host.unsteady(now) ?? this.#host.holding.sharding.unsettled(now);
  }

  #end(permit: RestartPermit, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#isEnding = true;
    this.#propose(encodeCommand({ kind: 'givePermit', index: permit.index }), now, effects);
  }

  #propose(bytes: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#host.replica.step({ kind: 'propose', requestId: this.#host.nextRequestId(), items: [bytes] }, now, effects);
  }

  #wait(wait: Wait, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#waits.push(wait);
    this.#nextAt = now;
    this.#settle(now, effects);
  }

  #settle(now: MonotonicMs, effects: ClusterEffect[]): void {
    if (this.#waits.length === 0) return;
    const { permit } = this.#host.replica.state;
    const left: Wait[] = [];
    for (const wait of this.#waits) {
      const outcome = wait.outcome(permit);
      if (outcome === 'done') wait.done({ kind: 'done', count: 1 }, now, effects);
      else if (outcome === 'lost')
        wait.done(refusal('REFUSED', `${permit?.holder ?? 'another'} was quicker`), now, effects);
      else if (now >= wait.deadline)
        wait.done(refusal('OUTCOME_UNKNOWN', 'not agreed on in time; it may still happen'), now, effects);
      else left.push(wait);
    }
    this.#waits = left;
  }
}

function problemOf({ holder, leaseMs }: { readonly holder: string; readonly leaseMs: number }): string | undefined {
  const size = utf8(holder).length;
  if (size === 0 || size > PERMIT_HOLDER_BYTES_MAX)
    return `the holder's name has 1 to ${PERMIT_HOLDER_BYTES_MAX} bytes`;
  const isFit = Number.isInteger(leaseMs) && leaseMs >= PERMIT_LEASE_MS_MIN && leaseMs <= PERMIT_LEASE_MS_MAX;
  return isFit ? undefined : `the lease is ${PERMIT_LEASE_MS_MIN} to ${PERMIT_LEASE_MS_MAX} whole milliseconds`;
}
