/** What `--verbose` tells beside the rest: what changes too often, or matters too little, to be told to everyone. */
import { formatEndpoint } from '../../src/model/endpoint.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';

/** Numbers and names instead of the lists and payloads, which may hold thousands. */
export interface Detail {
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Undefined for what is told to everyone, and for what only the machinery wants. */
export function detailOf(event: NodeEvent): Detail | undefined {
  switch (event.kind) {
    case 'memberUpdated': {
      const { name, address } = event.member;
      return { text: `member ${name} has other tags`, fields: { member: name, address: formatEndpoint(address) } };
    }
    case 'endpointChanged': {
      const { change, node, name } = event;
      const endpoint = formatEndpoint(event.endpoint);
      return { text: `${name} of ${node} ${change}: ${endpoint}`, fields: { change, node, name, endpoint } };
    }
    case 'shardMapProposed':
      return { text: `map ${event.version} proposed`, fields: { version: event.version } };
    case 'shardsReleasing': {
      const fields = { shards: event.shards.length, version: event.version };
      return { text: `lets go of ${fields.shards} shards for map ${fields.version}`, fields };
    }
    case 'shardsStarted': {
      const fields = { shards: event.shards.length, epoch: event.epoch };
      return { text: `serves ${fields.shards} more shards, token ${fields.epoch}`, fields };
    }
    case 'userEvent': {
      const fields = { name: event.name, bytes: event.payload.length, lamportTime: event.lamportTime };
      return { text: `user event ${fields.name}, ${fields.bytes} bytes`, fields };
    }
    case 'queryAsked': {
      const fields = { name: event.name, bytes: event.payload.length, source: event.source };
      return { text: `query ${fields.name} of ${fields.source}, ${fields.bytes} bytes`, fields };
    }
    default:
      return undefined;
  }
}
