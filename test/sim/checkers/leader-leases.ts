/** I-33, raft.md 7.4: at any true instant at most one leader lease of a cluster runs. */
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

export class LeaderLeases implements Checker {
  afterTurn(simulation: Simulation, process: SimulatedProcess): void {
    if (!holdsLeaderLease(process)) return;
    for (const other of simulation.processes()) {
      if (other === process || other.cluster.clusterId !== process.cluster.clusterId) continue;
      if (holdsLeaderLease(other))
        throw new Violation(
          `I-33: ${process.name} (term ${process.cluster.raftStanding?.term}) and ${other.name} (term ${other.cluster.raftStanding?.term}) hold the leader lease`,
        );
    }
  }
}

function holdsLeaderLease(process: SimulatedProcess): boolean {
  const standing = process.cluster.raftStanding;
  return standing?.role === 'leader' && process.holdingNow < standing.leaderLeaseUntil;
}
