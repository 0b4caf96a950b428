/** Refusals that begin in the room of the agent's RPC, and the texts that Serf's clients know. wire-gossip.md 20.4. */
import { FunkError } from '../base/errors.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';

/** The listening socket could not be bound. Nothing was opened. */
export class RpcBindError extends FunkError {
  readonly code = 'FUNK_SERF_RPC_BIND';

  constructor(endpoint: Endpoint, cause: Error) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'another program listens there (EADDRINUSE)' : cause.message;
    super(`the Serf RPC address ${formatEndpoint(endpoint)} could not be bound: ${why}`, { cause });
  }
}

export const RPC_ERRORS = {
  unsupportedCommand: 'Unsupported command',
  unsupportedVersion: 'Unsupported IPC version',
  duplicateHandshake: 'Handshake already performed',
  handshakeRequired: 'Handshake required',
  monitorExists: 'Monitor already exists',
  invalidFilter: 'Invalid event filter',
  streamExists: 'Stream with given sequence exists',
  invalidQueryId: 'No pending queries matching ID',
  authRequired: 'Authentication required',
  invalidAuthToken: 'Invalid authentication token',
  alreadyAnswered: 'failed to respond to key query: response already sent',
  internalQuery: "Queries cannot contain the '_serf_' prefix",
} as const;
