/**
 * The two clocks of one machine: a monotonic one that runs a little wrong and stands still while its guest is suspended, and a
 * wall clock of the same rate that goes on then, and steps (ownership.md 1; fault model of reliability.md 3).
 */
import type { Clock } from '../../src/ports/clock.ts';

export class SimulatedClock implements Clock {
  readonly #trueNow: () => number;
  readonly #rate: number;
  readonly #origin: number;
  #wallOffset: number;
  #lost = 0;
  #suspendedAt: number | undefined;

  constructor(trueNow: () => number, settings: { rate: number; origin: number; wallMs: number }) {
    this.#trueNow = trueNow;
    this.#rate = settings.rate;
    this.#origin = settings.origin;
    this.#wallOffset = settings.wallMs - settings.origin;
  }

  monotonic(): number {
    return this.#origin + ((this.#suspendedAt ?? this.#trueNow()) - this.#lost) * this.#rate;
  }

  wall(): number {
    return this.#origin + (this.#trueNow() - this.#lost) * this.#rate + this.#wallOffset;
  }

  /** The true instant at which the monotonic clock will show `at`, if nothing is suspended until then. */
  trueAt(at: number): number {
    return (at - this.#origin) / this.#rate + this.#lost;
  }

  step(byMs: number): void {
    this.#wallOffset += byMs;
  }

  suspend(): void {
    this.#suspendedAt ??= this.#trueNow();
  }

  resume(): void {
    if (this.#suspendedAt === undefined) return;
    const byMs = this.#trueNow() - this.#suspendedAt;
    this.#lost += byMs;
    this.#wallOffset += byMs * this.#rate;
    this.#suspendedAt = undefined;
  }

  wakeAt(): void {
    throw new Error('the simulator wakes its nodes itself');
  }
}
