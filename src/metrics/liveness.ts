/** The quick echo checks. */
import type { Families } from './families.ts';

export function registerLiveness(families: Families): void {
  families.gauges(
    'funknode_liveness_peers',
    'Watched peers by the verdict on them.',
    ['state'],
    ({ stats: { liveness } }) => [
      ['alive', liveness.alive],
      ['dead', liveness.watched - liveness.alive],
    ],
  );
  families.counter('funknode_liveness_checks_sent_total', 'Questions sent.', ({ stats }) => stats.liveness.checksSent);
  families.counter(
    'funknode_liveness_echoes_received_total',
    'Questions that were echoed, in time or late.',
    ({ stats }) => stats.liveness.echoesReceived,
  );
  families.counter(
    'funknode_liveness_deaths_total',
    'Peers that stopped answering.',
    ({ stats }) => stats.liveness.deaths,
  );
  families.counter(
    'funknode_liveness_dropped_total',
    'Packets that were neither a question nor an echo of ours.',
    ({ stats }) => stats.liveness.dropped,
  );
}
