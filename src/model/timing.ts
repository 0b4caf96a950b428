/** Times that the nodes of a cluster must agree on, or two of them could own one shard: the founder decides (docs/ownership.md section 1). */
export interface Timing {
  /** `L`: how long a grant to serve shards lasts, milliseconds. */
  readonly leaseMs: number;
  /** `d`: assumed bound on the rate error of any clock, a fraction in whole millionths. */
  readonly clockDrift: number;
  /** `H` and `E` of Raft, milliseconds. */
  readonly heartbeatMs: number;
  readonly electionMs: number;
}

export function describeTiming({ leaseMs, clockDrift, heartbeatMs, electionMs }: Timing): string {
  return `a lease of ${leaseMs} ms, clocks ${clockDrift * 100} % off, heartbeats of ${heartbeatMs} ms and elections after ${electionMs} ms`;
}

export function isSameTiming(a: Timing, b: Timing): boolean {
  return (
    a.leaseMs === b.leaseMs &&
    a.clockDrift === b.clockDrift &&
    a.heartbeatMs === b.heartbeatMs &&
    a.electionMs === b.electionMs
  );
}
