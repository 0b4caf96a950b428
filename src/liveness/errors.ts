import { FunkError } from '../base/errors.ts';

/** The settings of a checker or an address given to it cannot be used. Nothing changed. */
export class LivenessSettingsError extends FunkError {
  readonly code = 'FUNK_LIVENESS_SETTINGS';
}
