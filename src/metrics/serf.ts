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
  families.gauges(
    'funknode_serf_queue_depth',
    'Messages that wait to be gossiped, by queue.',
    ['queue'],
    ({ stats: { serf } }) => [
      ['intent', serf.intentsQueued],
      ['query', serf.queriesQueued],
      ['event', serf.eventsQueued],
    ],
  );
  families.counter(
    'funknode_serf_broadcasts_pruned_total',
    'Messages that were given up because their queue was too long.',
    ({ stats }) => stats.serf.broadcastsPruned,
  );
  registerCoordinate(families);
  registerTags(families);
  families.counter(
    'funknode_serf_member_flaps_total',
    'Members that failed and were back within a minute.',
    ({ tally }) => tally.memberFlaps,
  );
}

function registerTags(families: Families): void {
  families.gauge(
    'funknode_serf_members_tags_incomplete',
    'Present members that have more tags than are known here: gossip is too small for them, and they are not fetched yet.',
    ({ view }) => view.members.filter(({ status, tagsComplete }) => status === 'alive' && !tagsComplete).length,
  );
  families.gauge(
    'funknode_serf_tag_sets_bytes',
    'Tags of other members that gossip is too small for and that are held here.',
    ({ stats }) => stats.serf.tags.setBytes,
  );
  families.counter(
    'funknode_serf_tag_sets_fetched_total',
    'Sets of tags that gossip is too small for and that were fetched.',
    ({ stats }) => stats.serf.tags.fetched,
  );
  families.counter(
    'funknode_serf_tag_fetches_failed_total',
    'Requests for a set of tags in vain; they are made again.',
    ({ stats }) => stats.serf.tags.failed,
  );
  families.counter(
    'funknode_serf_tag_sets_refused_total',
    'Sets of tags that came and were not what gossip names; failed requests, too.',
    ({ stats }) => stats.serf.tags.refused,
  );
  families.counter(
    'funknode_serf_tag_sets_answered_total',
    'Sets of tags that other members were given.',
    ({ stats }) => stats.serf.tags.answered,
  );
}

function registerCoordinate(families: Families): void {
  families.gauge(
    'funknode_serf_coordinate_error',
    'Relative error of the own network coordinate: 1.5 knows nothing, near 0 is settled.',
    ({ stats }) => stats.serf.coordinate?.error,
  );
  families.gauge(
    'funknode_serf_coordinate_adjustment_seconds',
    'What the own coordinate adds to every estimate, for what distances cannot express.',
    ({ stats }) => secondsOf(stats.serf.coordinate?.adjustmentMs),
  );
  families.gauge(
    'funknode_serf_coordinate_moved_seconds',
    'By how much the last sample moved the own coordinate.',
    ({ stats }) => secondsOf(stats.serf.coordinate?.movedMs),
  );
  families.counter(
    'funknode_serf_coordinates_rejected_total',
    'Acks whose coordinate or round trip could not be true.',
    ({ stats }) => stats.serf.coordinate?.rejected,
  );
  families.counter(
    'funknode_serf_coordinate_resets_total',
    'How often the own coordinate became meaningless and began anew.',
    ({ stats }) => stats.serf.coordinate?.resets,
  );
}

function secondsOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}

function countByStatus(members: readonly MemberView[]): Record<MemberStatus, number> {
  const counts: Record<MemberStatus, number> = { none: 0, alive: 0, leaving: 0, left: 0, failed: 0 };
  for (const member of members) counts[member.status] += 1;
  return counts;
}
