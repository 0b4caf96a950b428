/** A cluster that a test paints: what it shows, and when it says so. */
import { Listeners } from '../../../src/base/listeners.ts';
import type { ClusterPicture, ClusterSource } from '../../../src/model/cluster-source.ts';
import type { ClusterId, NodeId } from '../../../src/model/ids.ts';
import { type FakeMember, fakeMember } from '../../fake-node-handle.ts';

export class FakeSource implements ClusterSource {
  readonly #listeners: Listeners = new Listeners();
  #picture: ClusterPicture | undefined;

  /** How many listen. */
  get listenerCount(): number {
    return this.#listeners.size;
  }

  picture(): ClusterPicture | undefined {
    return this.#picture;
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Shows the fields given, and those before; tells everyone. */
  show(patch: Partial<ClusterPicture>): void {
    const nothing: ClusterPicture = {
      clusterName: 'demo',
      clusterId: 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId,
      leader: 'n1' as NodeId,
      members: [],
      shardMap: undefined,
    };
    this.#picture = { ...(this.#picture ?? nothing), ...patch };
    this.#listeners.call();
  }

  /** Nodes by name, each with the tags given. */
  showNodes(
    nodes: Readonly<Record<string, Readonly<Record<string, string>>>>,
    status: FakeMember['status'] = 'alive',
  ): void {
    const members = Object.entries(nodes).map(([name, tags], at) => fakeMember({ name, tags, status }, at + 1));
    this.show({ members: members.sort((a, b) => (a.name < b.name ? -1 : 1)) });
  }

  tellAgain(): void {
    this.#listeners.call();
  }
}
