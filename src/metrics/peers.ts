/** The streams between nodes that carry Raft and leases. */
import type { Families } from './families.ts';

export function registerPeers(families: Families): void {
  families.gauge('funknode_peers_links', 'Streams to other nodes that are open.', ({ stats }) => stats.peers.links);
  families.counter(
    'funknode_peers_messages_sent_total',
    'Messages sent to peers.',
    ({ stats }) => stats.peers.messagesSent,
  );
  families.counter(
    'funknode_peers_messages_received_total',
    'Messages received from peers.',
    ({ stats }) => stats.peers.messagesReceived,
  );
  families.counter(
    'funknode_peers_messages_dropped_total',
    'Messages to or from peers that were dropped.',
    ({ stats }) => stats.peers.messagesDropped,
  );
  families.counter('funknode_peers_sent_bytes_total', 'Bytes sent to peers.', ({ stats }) => stats.peers.bytesSent);
  families.counter(
    'funknode_peers_received_bytes_total',
    'Bytes received from peers.',
    ({ stats }) => stats.peers.bytesReceived,
  );
  families.counter(
    'funknode_peers_reconnects_total',
    'Streams opened anew after a break.',
    ({ stats }) => stats.peers.reconnects,
  );
  families.counters(
    'funknode_peers_connections_total',
    'Connections to the Raft port by what became of them.',
    ['outcome'],
    ({ stats: { peers } }) => [
      ['accepted', peers.connectionsAccepted],
      ['refused', peers.connectionsRefused],
      ['malformed', peers.connectionsMalformed],
    ],
  );
}
