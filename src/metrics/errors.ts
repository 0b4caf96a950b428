import { FunkError } from '../base/errors.ts';
import { formatEndpoint, type Endpoint } from '../model/endpoint.ts';

/** The HTTP endpoint cannot be bound; the cause is the system's error. Nothing is left open. */
export class HttpBindError extends FunkError {
  readonly code = 'FUNK_HTTP_BIND';
  readonly endpoint: Endpoint;
  constructor(endpoint: Endpoint, cause: Error) {
    super(`cannot listen for HTTP at ${formatEndpoint(endpoint)}: ${cause.message}`, { cause });
    this.endpoint = endpoint;
  }
}
