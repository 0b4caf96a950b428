/** What endpoints the members publish, so that a change of tags becomes a change of endpoints (product.md, Endpoints). */
import { type Endpoint, parseEndpoint, sameEndpoint } from '../model/endpoint.ts';
import type { Member } from '../model/member.ts';
import type { NodeEvent } from '../model/node-event.ts';

type EndpointChanged = Extract<NodeEvent, { kind: 'endpointChanged' }>;

export class EndpointBook {
  readonly #published: Map<string, ReadonlyMap<string, Endpoint>> = new Map();

  /** What `member` publishes now, against what it published before. Only a member that is present publishes anything. */
  note(member: Member): EndpointChanged[] {
    const before = this.#published.get(member.name) ?? new Map<string, Endpoint>();
    const after =
      member.status === 'alive' || member.status === 'leaving' ? endpointsOf(member) : new Map<string, Endpoint>();
    if (after.size === 0) this.#published.delete(member.name);
    else this.#published.set(member.name, after);
    return differences(member.name, before, after);
  }
}

function differences(
  node: string,
  before: ReadonlyMap<string, Endpoint>,
  after: ReadonlyMap<string, Endpoint>,
): EndpointChanged[] {
  const changes: EndpointChanged[] = [];
  for (const [name, endpoint] of after) {
    const held = before.get(name);
    if (held !== undefined && sameEndpoint(held, endpoint)) continue;
    changes.push({ kind: 'endpointChanged', change: held === undefined ? 'added' : 'changed', node, name, endpoint });
  }
  for (const [name, endpoint] of before) {
    if (!after.has(name)) changes.push({ kind: 'endpointChanged', change: 'removed', node, name, endpoint });
  }
  return changes;
}

function endpointsOf(member: Member): ReadonlyMap<string, Endpoint> {
  const found = new Map<string, Endpoint>();
  for (const [name, value] of member.tags) {
    const endpoint = name.startsWith('ep.') ? parseEndpoint(value) : undefined;
    if (endpoint !== undefined) found.set(name, endpoint);
  }
  return found;
}
