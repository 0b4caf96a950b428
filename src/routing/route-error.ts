/** Why a router did not bring a request to the owner of its shard. */
import { FunkError } from '../base/errors.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { LogIndex, NodeId } from '../model/ids.ts';
import { HEADER_ENDPOINT, HEADER_MAP, HEADER_OWNER, HEADER_REASON, type RouteReason } from './route-headers.ts';

/** Where a shard is, as far as the refusal knows. */
export interface KnownOwner {
  readonly owner: NodeId;
  /** Undefined when it publishes none for the service. */
  readonly endpoint: Endpoint | undefined;
  readonly map: LogIndex;
}

/** The application has not seen the request, except when `reason` is `broken` or `timeout`: then it may have, and may yet. */
export class RouteError extends FunkError {
  readonly code = 'FUNK_ROUTE';
  readonly reason: RouteReason;
  readonly known: KnownOwner | undefined;

  constructor(reason: RouteReason, message: string, options: ErrorOptions & { readonly known?: KnownOwner } = {}) {
    super(message, options);
    this.reason = reason;
    this.known = options.known;
  }
}

/** The caller has gone or its time is over: nobody waits for an answer. */
export class RouteAbandonedError extends FunkError {
  readonly code = 'FUNK_ROUTE_ABANDONED';
}

/** What a refusal says beside its status. */
export function refusalHeaders(error: RouteError): Record<string, string> {
  const headers: Record<string, string> = { [HEADER_REASON]: error.reason };
  const { known } = error;
  if (known === undefined) return headers;
  headers[HEADER_OWNER] = known.owner;
  headers[HEADER_MAP] = String(known.map);
  if (known.endpoint !== undefined) headers[HEADER_ENDPOINT] = formatEndpoint(known.endpoint);
  return headers;
}
