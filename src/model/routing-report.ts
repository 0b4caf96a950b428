/** What a router of the application has counted since its last report; all of it is added to what the node knows already. */
export interface RoutingReport {
  /** `ep.<service>` without `ep.`. */
  readonly service: string;
  /** Requests that were brought to a node, by full gRPC or plain HTTP method. */
  readonly requests: readonly { readonly destination: string; readonly method: string; readonly count: number }[];
  readonly refusals: readonly { readonly reason: string; readonly count: number }[];
  /** Sent once more, since the application had not seen them. */
  readonly retries: number;
  /** By how much the number of waiting requests has changed. */
  readonly waiting: number;
  /** By how much the number of connections to owners has changed. */
  readonly connections: number;
  /** How long requests waited, in seconds; only those that did. `counts` are of {@link ROUTING_WAIT_BOUNDS}, not cumulative. */
  readonly waits: { readonly sum: number; readonly count: number; readonly counts: readonly number[] };
}

/** Seconds. A hand-over takes hundredths, a lease runs out in one. */
export const ROUTING_WAIT_BOUNDS: readonly number[] = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 5, 10];
