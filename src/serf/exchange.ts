/** What Serf tells and learns in a push/pull. wire-gossip.md 13.3, 14.8, 15.4. */
import type { MonotonicMs } from '../base/machine.ts';
import type { UserEvent } from '../wire/serf/messages.ts';
import type { PushPullState } from '../wire/serf/push-pull.ts';
import type { LamportTimes } from '../wire/serf/snapshot-file.ts';
import type { Membership } from './membership.ts';
import type { QueryDesk } from './queries.ts';
import type { UserEventDesk } from './user-events.ts';

export interface ExchangeParts {
  readonly membership: Membership;
  readonly queries: QueryDesk;
  readonly userEvents: UserEventDesk;
}

export interface MergeOptions {
  readonly selfName: string;
  /** We are not leaving: word of our leave is wrong, and `refute` says so to all. */
  readonly isStaying: boolean;
  /** We are joining, and do not want the events of the time before. */
  readonly skipOldEvents: boolean;
  readonly refute: () => void;
  /** An event that gossip has not brought: the application has yet to hear of it. */
  readonly tellEvent: (event: UserEvent) => void;
}

/** Goes on where an earlier run of this node ended: what it has seen is not handled again. wire-gossip.md 19.1. */
export function restoreTimes(
  { membership, queries, userEvents }: ExchangeParts,
  times: LamportTimes | undefined,
): void {
  if (times === undefined) return;
  membership.clock.witness(times.member);
  userEvents.clock.witness(times.event);
  queries.clock.witness(times.query);
  userEvents.forgetBefore(times.event + 1);
  queries.forgetBefore(times.query + 1);
}

export function localState({ membership, queries, userEvents }: ExchangeParts): PushPullState {
  const statusTimes = new Map<string, number>();
  const leftMembers: string[] = [];
  for (const { name, status, statusTime, isReturning } of membership.records()) {
    statusTimes.set(name, statusTime);
    // The peer takes who left as gone since one tick after its status time. Of one that is on its way back, that time is of
    // its join: real agents list it all the same, and the peer then holds it for leaving until it joins anew.
    if (status === 'left' && !isReturning) leftMembers.push(name);
  }
  return {
    kind: 'pushPull',
    memberTime: membership.clock.time,
    eventTime: userEvents.clock.time,
    queryTime: queries.clock.time,
    events: userEvents.slots(),
    leftMembers,
    statusTimes,
  };
}

/** Nothing of it is spread further: everyone exchanges with someone. */
export function mergeState(parts: ExchangeParts, state: PushPullState, options: MergeOptions, now: MonotonicMs): void {
  const { membership, queries, userEvents } = parts;
  // The peer's clocks are one ahead of the latest time that they have seen.
  if (state.memberTime > 0) membership.clock.witness(state.memberTime - 1);
  if (state.eventTime > 0) userEvents.clock.witness(state.eventTime - 1);
  if (state.queryTime > 0) queries.clock.witness(state.queryTime - 1);
  const left = new Set(state.leftMembers);
  const ownTime = membership.get(options.selfName)?.statusTime ?? 0;
  for (const node of left) {
    const lamportTime = (state.statusTimes.get(node) ?? 0) + 1;
    const isStaying = node === options.selfName && options.isStaying;
    if (membership.onLeaveIntent({ node, lamportTime, prune: false }, isStaying, now) === 'refute') options.refute();
  }
  for (const [node, lamportTime] of state.statusTimes) {
    if (!left.has(node)) membership.onJoinIntent(node, lamportTime, now);
  }
  // A later word about us than our own is from before our restart, or wrong: ours would count for nothing. Give a new one.
  if (options.isStaying && !left.has(options.selfName)) {
    if ((state.statusTimes.get(options.selfName) ?? 0) > ownTime) options.refute();
  }
  if (options.skipOldEvents) userEvents.forgetBefore(state.eventTime);
  for (const slot of state.events ?? []) {
    const lamportTime = slot?.lamportTime ?? 0;
    for (const event of slot?.events ?? []) {
      // A push/pull does not say whether the sender allowed coalescing; Serf takes it that it did not.
      if (userEvents.onEvent(lamportTime, event))
        options.tellEvent({ kind: 'userEvent', lamportTime, ...event, coalesce: false });
    }
  }
}
