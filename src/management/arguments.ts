/** Names and addresses as callers give them. */
import { type Endpoint, parseEndpoint } from '../model/endpoint.ts';
import { isNodeId, type NodeId } from '../model/ids.ts';
import { InvalidRequestError } from './errors.ts';

/** The port of gossip when an address names none (product.md). */
const GOSSIP_PORT = 7946;
/** More addresses than an operator types; join tries each of them. */
const ADDRESSES_MAX = 64;

export function requireNodeId(text: string): NodeId {
  if (isNodeId(text)) return text;
  if (text === '') throw new InvalidRequestError('the request names no node');
  throw new InvalidRequestError('a node id is 1 to 64 letters, digits, "-", "." and "_"');
}

export function requireAddresses(texts: readonly string[]): readonly Endpoint[] {
  if (texts.length === 0) throw new InvalidRequestError('the request names no address');
  if (texts.length > ADDRESSES_MAX)
    throw new InvalidRequestError(`more than ${ADDRESSES_MAX} addresses in one request`);
  return texts.map((text) => {
    const endpoint = parseEndpoint(text, GOSSIP_PORT);
    if (endpoint === undefined || endpoint.port === 0) throw new InvalidRequestError(`"${text}" is no host:port`);
    return endpoint;
  });
}
