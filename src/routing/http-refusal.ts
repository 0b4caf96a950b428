/** How a router refuses in HTTP. */
import { refusalHeaders, type RouteError } from './route-error.ts';
import type { RouteReason } from './route-headers.ts';

export interface HttpRefusal {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** All others are 503: another time may do. */
const STATUS: Readonly<Partial<Record<RouteReason, number>>> = {
  moved: 421,
  'bad-key': 400,
  'too-many-hops': 508,
  broken: 502,
  timeout: 504,
};
/** Seconds. A hand-over takes a fraction of one, a lease runs out in one. */
const RETRY_AFTER = '1';

export function httpRefusal(error: RouteError): HttpRefusal {
  const status = STATUS[error.reason] ?? 503;
  const body = JSON.stringify({ code: error.code, reason: error.reason, message: error.message });
  const headers: Record<string, string> = {
    ...refusalHeaders(error),
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  };
  if (status === 503) headers['retry-after'] = RETRY_AFTER;
  return { status, headers, body };
}
