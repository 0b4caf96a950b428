/** How a client of the cluster can be refused. `code` is stable. */
import { FunkError } from '../../base/errors.ts';

/** Another source answers for these `cluster:` names in this process already. Nothing changed. */
export class SchemeTakenError extends FunkError {
  readonly code = 'FUNK_SCHEME_TAKEN';
}

/** This version of grpc-js has no resolver interface that we know. Nothing was registered. */
export class ResolverInterfaceError extends FunkError {
  readonly code = 'FUNK_RESOLVER_INTERFACE';
}
