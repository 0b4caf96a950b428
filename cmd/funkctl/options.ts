/** What every verb is told. */
export interface GlobalOptions {
  readonly endpoint?: string;
  /** Undefined unless it was named. */
  readonly clusterName?: string;
  readonly interface?: string;
  /** Whether mDNS may be asked. */
  readonly zeroconf: boolean;
  readonly timeoutMs: number;
  readonly json: boolean;
}
