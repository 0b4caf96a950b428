/** The reader of a node: its own view and, where it keeps no map itself, the map of a member that does. */
import { ClusterReader } from './cluster-reader.ts';
import { NodeSource } from './events/node-source.ts';
import { ClusterWatch } from './management/cluster-watch.ts';
import type { ClusterPicture, ClusterSource } from './model/cluster-source.ts';
import { TAG_EP_MANAGEMENT, TAG_ROLE } from './model/tags.ts';
import type { NodeHandle } from './runtime/node-handle.ts';
import { SystemRandom } from './runtime/system-random.ts';

export function readerOfNode(handle: NodeHandle): ClusterReader {
  const own = new NodeSource(handle);
  const source = handle.view().kind === 'non-member' ? new NonMemberSource(own) : own;
  const reader = new ClusterReader({
    source,
    close: async () => {
      own.close();
      if (source instanceof NonMemberSource) await source.close();
    },
    watched: () => (source instanceof NonMemberSource ? source.watched : undefined),
  });
  // A stopped node shows nothing new ever: whoever follows is done.
  own.subscribe(() => {
    if (own.hasStopped) void reader.close();
  });
  return reader;
}

/** Members as gossip tells this node; leader and map as a member tells that keeps them. */
class NonMemberSource implements ClusterSource {
  readonly #own: NodeSource;
  readonly #watch: ClusterWatch;
  #parts: readonly [ClusterPicture, ClusterPicture | undefined] | undefined;
  #picture: ClusterPicture | undefined;

  constructor(own: NodeSource) {
    this.#own = own;
    this.#watch = new ClusterWatch({
      contacts: () => managementAddresses(own.picture()),
      random: new SystemRandom(),
      clusterName: own.picture().clusterName,
    });
    this.#watch.start();
  }

  get watched(): string | undefined {
    return this.#watch.stats().watched;
  }

  picture(): ClusterPicture {
    const [own, seen] = [this.#own.picture(), this.#watch.picture()];
    if (this.#picture === undefined || this.#parts?.[0] !== own || this.#parts[1] !== seen) {
      const { clusterId, leader, shardMap } = seen ?? own;
      this.#picture = { ...own, clusterId, leader, shardMap };
      this.#parts = [own, seen];
    }
    return this.#picture;
  }

  subscribe(listener: () => void): () => void {
    const ends = [this.#own.subscribe(listener), this.#watch.subscribe(listener)];
    return () => {
      for (const end of ends) end();
    };
  }

  close(): Promise<void> {
    return this.#watch.close();
  }
}

/** Of members that keep the map. */
function managementAddresses({ members }: ClusterPicture): string[] {
  return members.flatMap(({ status, tags }) => {
    const role = tags.get(TAG_ROLE);
    const address = tags.get(TAG_EP_MANAGEMENT);
    return status === 'alive' && address !== undefined && (role === 'voter' || role === 'non-voter') ? [address] : [];
  });
}
