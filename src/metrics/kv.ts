/** The coordination state, and what is asked of it at this node. */
import type { Families } from './families.ts';

export function registerKv(families: Families): void {
  families.gauge('funknode_kv_revision', 'Revision of the store, as applied here.', ({ stats }) => stats.kv.revision);
  families.gauge('funknode_kv_keys', 'Keys in the store.', ({ stats }) => stats.kv.keys);
  families.gauge(
    'funknode_kv_bytes',
    'Keys and values, with 64 bytes for each key; a write beyond 64 MiB is refused.',
    ({ stats }) => stats.kv.bytes,
  );
  families.gauge('funknode_kv_sessions', 'Sessions of clients; 10,000 at most.', ({ stats }) => stats.kv.sessions);
  families.gauge(
    'funknode_kv_requests_waiting',
    'Requests that were taken here and not answered; beyond 5,000 one is refused.',
    ({ stats }) => stats.kv.waiting,
  );
  families.counter(
    'funknode_kv_requests_proposed_total',
    'Requests that went into the log from here, as leader.',
    ({ stats }) => stats.kv.proposed,
  );
  families.counter(
    'funknode_kv_batches_proposed_total',
    'Entries of the log that they went in.',
    ({ stats }) => stats.kv.batches,
  );
  families.counters('funknode_kv_reads_total', 'Reads served here, by what they rest on.', ['by'], ({ stats }) => [
    ['quorum', stats.kv.quorumReads],
    ['lease', stats.kv.leaseReads],
    ['nothing', stats.kv.staleReads],
  ]);
  families.counter(
    'funknode_kv_requests_forwarded_total',
    'Requests that were passed on to another node.',
    ({ stats }) => stats.kv.forwarded,
  );
  families.counters(
    'funknode_kv_requests_failed_total',
    'Requests that were refused before anything changed, or of which nobody knows.',
    ['outcome'],
    ({ stats }) => [
      ['refused', stats.kv.refused],
      ['unknown', stats.kv.unknown],
    ],
  );
}
