/** What must hold in every run, one property per file in checkers/. */
import type { NodeEvent } from '../../src/model/node-event.ts';
import { CommittedLog } from './checkers/committed-log.ts';
import { DurablePromises } from './checkers/durable-promises.ts';
import { ElectionSafety } from './checkers/election-safety.ts';
import { LeaderLeases } from './checkers/leader-leases.ts';
import { LamportTimes } from './checkers/lamport-times.ts';
import { MapHistory } from './checkers/map-history.ts';
import { ReleasedFirst } from './checkers/released-first.ts';
import { SingleOwner } from './checkers/single-owner.ts';
import type { SimulatedProcess } from './process.ts';
import type { Simulation } from './simulation.ts';

export interface Checker {
  /** Throws {@link Violation}. */
  afterTurn?(simulation: Simulation, process: SimulatedProcess): void;
  onEvent?(simulation: Simulation, process: SimulatedProcess, event: NodeEvent): void;
}

export function makeCheckers(): readonly Checker[] {
  return [
    new ElectionSafety(),
    new CommittedLog(),
    new DurablePromises(),
    new SingleOwner(),
    new LeaderLeases(),
    new MapHistory(),
    new ReleasedFirst(),
    new LamportTimes(),
  ];
}
