/** The Serf layer: members as Serf shows them, and its Lamport clocks. */
import type { MemberStatus } from '../model/member.ts';
import type { MemberView } from '../model/node-view.ts';
import type { Families } from './families.ts';

export function registerSerf(families: Families): void {
  families.gauges(
    'funknode_serf_members',
    'Members by their Serf status, this node included.',
    ['status'],
    ({ view }) => Object.entries(countByStatus(view.members)),
  );
  families.gauge('funknode_serf_member_clock', 'Lamport time of membership.', ({ stats }) => stats.serf.memberClock);
  families.gauge('funknode_serf_event_clock', 'Lamport time of user events.', ({ stats }) => stats.serf.eventClock);
  families.gauge('funknode_serf_query_clock', 'Lamport time of queries.', ({ stats }) => stats.serf.queryClock);
  families.gauge(
    'funknode_serf_intents_queued',
    'Join and leave intents for members that are not known yet.',
    ({ stats }) => stats.serf.intentsQueued,
  );
  families.counter(
    'funknode_serf_member_flaps_total',
    'Members that failed and were back within a minute.',
    ({ tally }) => tally.memberFlaps,
  );
}

function countByStatus(members: readonly MemberView[]): Record<MemberStatus, number> {
  const counts: Record<MemberStatus, number> = { none: 0, alive: 0, leaving: 0, left: 0, failed: 0 };
  for (const member of members) counts[member.status] += 1;
  return counts;
}
