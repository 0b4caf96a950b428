/** I-1, Raft §5.2: a term of one cluster has at most one leader, ever. */
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

export class ElectionSafety implements Checker {
  readonly #leaderOf: Map<string, string> = new Map();

  afterTurn(_simulation: Simulation, process: SimulatedProcess): void {
    const standing = process.cluster.raftStanding;
    if (standing === undefined || standing.role !== 'leader') return;
    const key = `${process.cluster.clusterId}/${standing.term}`;
    const self = process.cluster.self;
    const first = this.#leaderOf.get(key);
    if (first === undefined) this.#leaderOf.set(key, self);
    else if (first !== self) throw new Violation(`I-1: term ${standing.term} was led by ${first} and by ${self}`);
  }
}
