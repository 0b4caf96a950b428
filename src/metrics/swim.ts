/** Gossip's failure detector and its transport. */
import { boundedEntries } from './bounded-entries.ts';
import type { Families } from './families.ts';

/** Reasons for a dropped packet come from a fixed set in the codecs; this only keeps a mistake there from growing here. */
const REASONS_MAX = 48;

export function registerSwim(families: Families): void {
  families.gauges(
    'funknode_swim_members',
    'Members by what SWIM believes of them.',
    ['state'],
    ({ stats: { swim } }) => [
      ['alive', swim.membersAlive],
      ['suspect', swim.membersSuspect],
      ['dead', swim.membersDead],
      ['left', swim.membersLeft],
    ],
  );
  families.gauge(
    'funknode_swim_health_score',
    "Lifeguard's local health multiplier: 0 is healthy, more means this node is slow to answer.",
    ({ stats }) => stats.swim.healthScore,
  );
  families.gauge(
    'funknode_swim_incarnation',
    'Own incarnation; it rises with every refuted suspicion.',
    ({ stats }) => stats.swim.incarnation,
  );
  families.gauge(
    'funknode_swim_broadcasts_queued',
    'News that still waits to be gossiped.',
    ({ stats }) => stats.swim.broadcastsQueued,
  );
  families.gauge(
    'funknode_swim_encryption_keys',
    'Keys in the gossip keyring; 0 when gossip is not encrypted.',
    ({ stats }) => stats.swim.encryptionKeys,
  );
  families.counter('funknode_swim_probes_total', 'Probe rounds begun.', ({ stats }) => stats.swim.probes);
  families.counter(
    'funknode_swim_probe_failures_total',
    'Probe rounds that ended without any answer.',
    ({ stats }) => stats.swim.probesFailed,
  );
  families.counter(
    'funknode_swim_indirect_probes_total',
    'Probes that others were asked to make for us.',
    ({ stats }) => stats.swim.indirectProbes,
  );
  families.counter(
    'funknode_swim_suspicions_total',
    'Members that came under suspicion.',
    ({ stats }) => stats.swim.suspicions,
  );
  families.counter(
    'funknode_swim_refutations_total',
    'Suspicions of this node that it refuted.',
    ({ stats }) => stats.swim.refutations,
  );
  families.histogram('funknode_swim_probe_seconds', 'Round trips of direct probes.', ({ stats: { swim } }) => ({
    sum: swim.roundTrips.sum / 1_000,
    count: swim.roundTrips.count,
    buckets: swim.roundTrips.buckets.map(({ le, count }) => ({ le: le / 1_000, count })),
  }));
  registerTransport(families);
}

function registerTransport(families: Families): void {
  families.counter(
    'funknode_swim_push_pulls_total',
    'Full exchanges of state, begun or answered.',
    ({ stats }) => stats.swim.pushPulls,
  );
  families.counter(
    'funknode_swim_push_pull_failures_total',
    'Full exchanges of state that broke.',
    ({ stats }) => stats.swim.pushPullsFailed,
  );
  families.counter(
    'funknode_swim_packets_sent_total',
    'Gossip packets sent by UDP.',
    ({ stats }) => stats.swim.packetsSent,
  );
  families.counter(
    'funknode_swim_packets_received_total',
    'Gossip packets received by UDP.',
    ({ stats }) => stats.swim.packetsReceived,
  );
  families.counter('funknode_swim_sent_bytes_total', 'Bytes of gossip sent.', ({ stats }) => stats.swim.bytesSent);
  families.counter(
    'funknode_swim_received_bytes_total',
    'Bytes of gossip received.',
    ({ stats }) => stats.swim.bytesReceived,
  );
  families.counter(
    'funknode_swim_streams_opened_total',
    'TCP streams opened for gossip.',
    ({ stats }) => stats.swim.streamsOpened,
  );
  families.counters(
    'funknode_swim_dropped_total',
    'Gossip that was not understood or not wanted.',
    ['reason'],
    ({ stats }) => boundedEntries(stats.swim.dropped, REASONS_MAX),
  );
}
