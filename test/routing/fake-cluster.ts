/** Nodes that agree because a test says so: each a fake handle, with views, events and maps that a test moves. Everything happens in the call. */
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import type { LogIndex, NodeId } from '../../src/model/ids.ts';
import type { ShardMap } from '../../src/model/shard-map.ts';
import { FakeNodeHandle, fakeShardMap, fakeView } from '../fake-node-handle.ts';

/** Its time is real: routers count on it, and their bounds are short in tests. */
class TimedHandle extends FakeNodeHandle {
  override now(): number {
    return performance.now();
  }
}

export class FakeCluster {
  readonly shardCount: number;
  readonly #handles: Map<string, FakeNodeHandle> = new Map();
  #map: ShardMap;

  /** Shards are dealt in turn: shard 0 to the first node, shard 1 to the second. */
  constructor(ids: readonly string[], shardCount = 12) {
    this.shardCount = shardCount;
    this.#map = fakeShardMap(ids, shardCount);
    for (const id of ids) {
      const members = ids.map((name) => ({ name }));
      const handle = new TimedHandle(fakeView({ id, leader: ids[0] as string, members, shardCount }));
      handle.change({ shardMap: this.#map });
      this.#handles.set(id, handle);
    }
  }

  handle(id: string): FakeNodeHandle {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new Error(`no node ${id}`);
    return handle;
  }

  get mapVersion(): number {
    return this.#map.version;
  }

  /** `ep.<service>` of a node, for all nodes or `only` some; undefined withdraws it. */
  publish(node: string, service: string, endpoint: Endpoint | undefined, only?: readonly string[]): void {
    const name = `ep.${service}`;
    for (const [id, handle] of this.#handles) {
      if (only !== undefined && !only.includes(id)) continue;
      let last: Endpoint | undefined;
      const members = handle.view().members.map((member) => {
        if (member.name !== node) return member;
        const tags = new Map(member.tags);
        last = tags.has(name) ? endpointOf(tags.get(name) as string) : undefined;
        if (endpoint === undefined) tags.delete(name);
        else tags.set(name, formatEndpoint(endpoint));
        return { ...member, tags };
      });
      handle.change({ members });
      if (endpoint !== undefined)
        handle.emit({
          kind: 'endpointChanged',
          change: last === undefined ? 'added' : 'changed',
          node,
          name,
          endpoint,
        });
      else if (last !== undefined)
        handle.emit({ kind: 'endpointChanged', change: 'removed', node, name, endpoint: last });
    }
  }

  /** A new map in which `shards` are of `to`. It becomes known to all nodes, or to `only` some. */
  move(shards: readonly number[], to: string, only?: readonly string[]): void {
    const version = (this.#map.version + 10) as LogIndex;
    const owner = this.#map.owners.findIndex(({ node }) => node === to);
    const ownerOf = this.#map.ownerOf.slice();
    const epochs = this.#map.epochs.slice();
    for (const shard of shards) {
      ownerOf[shard] = owner;
      epochs[shard] = version + 1;
    }
    this.#map = { ...this.#map, version, committedAt: (version + 1) as LogIndex, ownerOf, epochs };
    this.tell(only ?? [...this.#handles.keys()]);
  }

  /** These hear of the newest map. */
  tell(ids: readonly string[]): void {
    for (const id of ids) {
      this.handle(id).change({ shardMap: this.#map });
      this.handle(id).emit({ kind: 'shardMapChanged', map: this.#map });
    }
  }

  /** The node serves nothing any more: its shards are on their way, or its lease is over. */
  pause(id: string): void {
    this.handle(id).change({ holdsLease: false });
    this.handle(id).emit({ kind: 'leaseLost' });
  }

  resume(id: string): void {
    this.handle(id).change({ holdsLease: true });
    this.handle(id).emit({ kind: 'leaseGained' });
  }

  stop(id: string): void {
    this.handle(id).emit({ kind: 'stopped', reason: 'left in order', exitCode: 0 });
  }

  /** The node that the newest map names. */
  ownerOf(shard: number): NodeId | undefined {
    return this.#map.owners[this.#map.ownerOf[shard] as number]?.node;
  }
}

function endpointOf(text: string): Endpoint {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}
