/** G-8: no Lamport clock of a process falls, and a user event reaches its application at most once, however often it comes. */
import { fromUtf8 } from '../../../src/base/bytes.ts';
import type { NodeEvent } from '../../../src/model/node-event.ts';
import type { SerfStats } from '../../../src/model/node-stats.ts';
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

/** What a process says of itself is put together anew each time. */
const TURNS_BETWEEN_LOOKS = 32;
const CLOCKS = ['memberClock', 'eventClock', 'queryClock'] as const;

export class LamportTimes implements Checker {
  readonly #clocks: WeakMap<SimulatedProcess, Readonly<Pick<SerfStats, (typeof CLOCKS)[number]>>> = new WeakMap();
  readonly #delivered: WeakMap<SimulatedProcess, Set<string>> = new WeakMap();
  #turns = 0;
  /** Events that reached an application. */
  deliveries = 0;

  afterTurn(_simulation: Simulation, process: SimulatedProcess): void {
    this.#turns += 1;
    if (this.#turns % TURNS_BETWEEN_LOOKS !== 0) return;
    const { memberClock, eventClock, queryClock } = process.cluster.stats().serf;
    const now = { memberClock, eventClock, queryClock };
    const before = this.#clocks.get(process);
    for (const clock of CLOCKS)
      if (before !== undefined && now[clock] < before[clock])
        throw new Violation(`G-8: the ${clock} of ${process.name} fell from ${before[clock]} to ${now[clock]}`);
    this.#clocks.set(process, now);
  }

  onEvent(_simulation: Simulation, process: SimulatedProcess, event: NodeEvent): void {
    if (event.kind !== 'userEvent') return;
    const delivered = this.#delivered.get(process) ?? new Set<string>();
    this.#delivered.set(process, delivered);
    const key = `${event.name} at ${event.lamportTime}: ${fromUtf8(event.payload)}`;
    if (delivered.has(key)) throw new Violation(`G-8: ${process.name} is told ${key} again`);
    delivered.add(key);
    this.deliveries += 1;
  }
}
