/** What endpoints the cluster publishes, kept as a table, so that whoever begins to look sees those that are there first. */
import type { SeenMember } from './cluster-source.ts';
import { parseEndpoint, sameEndpoint, type Endpoint } from './endpoint.ts';
import type { NodeEvent } from './node-event.ts';

export interface EndpointChange {
  readonly change: 'added' | 'changed' | 'removed';
  /** Who publishes it. */
  readonly node: string;
  /** `ep.<name>`. */
  readonly name: string;
  /** The new value; for `removed`, the last one. */
  readonly endpoint: Endpoint;
}

/** `ep.*` of every member that is alive now, as additions, in the order of members and names. */
export function endpointsNow(members: readonly SeenMember[]): EndpointChange[] {
  const found: EndpointChange[] = [];
  for (const member of members) {
    if (member.status !== 'alive') continue;
    for (const [name, value] of [...member.tags].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const endpoint = name.startsWith('ep.') ? parseEndpoint(value) : undefined;
      if (endpoint !== undefined) found.push({ change: 'added', node: member.name, name, endpoint });
    }
  }
  return found;
}

/** The node's own event, without its kind. */
export function endpointChangeOf(event: Extract<NodeEvent, { kind: 'endpointChanged' }>): EndpointChange {
  return { change: event.change, node: event.node, name: event.name, endpoint: event.endpoint };
}

/** Follows changes and knows at every instant what is published. An addition of what is there already is no change. */
export class EndpointTable {
  readonly #known: Map<string, EndpointChange> = new Map();

  constructor(present: readonly EndpointChange[]) {
    for (const one of present) this.#known.set(keyOf(one), one);
  }

  /** Everything published now, as additions. */
  present(): EndpointChange[] {
    return [...this.#known.values()].map((one) => ({ ...one, change: 'added' }));
  }

  /** The change as an onlooker must see it; undefined when nothing changed for one who knew the table. */
  apply(change: EndpointChange): EndpointChange | undefined {
    const key = keyOf(change);
    const held = this.#known.get(key);
    if (change.change === 'removed') {
      this.#known.delete(key);
      return held === undefined ? undefined : change;
    }
    if (held !== undefined && sameEndpoint(held.endpoint, change.endpoint)) return undefined;
    this.#known.set(key, change);
    return { ...change, change: held === undefined ? 'added' : 'changed' };
  }

  /** Another table takes the place of this one; what an onlooker must see of it. */
  replace(present: readonly EndpointChange[]): EndpointChange[] {
    const kept = new Set(present.map(keyOf));
    const gone = [...this.#known.values()].filter((held) => !kept.has(keyOf(held)));
    const removals = gone.map((held): EndpointChange => ({ ...held, change: 'removed' }));
    return [...removals, ...present].flatMap((change) => this.apply(change) ?? []);
  }
}

function keyOf(change: EndpointChange): string {
  return `${change.node}/${change.name}`;
}
