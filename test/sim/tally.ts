/** What many runs were, added up. */
import type { RunReport } from './swarm.ts';

export class Tally {
  readonly faults: Map<string, number> = new Map();
  readonly violations: string[] = [];
  readonly reports: RunReport[] = [];
  simulatedMs = 0;
  events = 0;
  operations = 0;
  cpuSeconds = 0;
  #undecided = 0;
  #witnessed = 0;
  readonly #failed: number[] = [];

  add(report: RunReport): void {
    this.reports.push({ ...report, story: [], standings: [] });
    this.simulatedMs += report.simulatedMs;
    this.cpuSeconds += report.cpuMs / 1_000;
    this.events += report.events;
    this.operations += report.clients.operations + report.logClients.operations;
    this.#undecided += report.clients.undecided + report.logClients.undecided;
    this.#witnessed += report.logClients.witnessed;
    for (const [kind, count] of report.faults) this.faults.set(kind, (this.faults.get(kind) ?? 0) + count);
    if (report.failure === undefined) return;
    this.#failed.push(report.seed);
    this.violations.push(`seed ${report.seed}: ${report.failure}`);
  }

  text(): string {
    const faults = [...this.faults.values()].reduce((sum, count) => sum + count, 0);
    const failed = this.#failed.length;
    const verdict = failed > 0 ? `${failed} violations: ${this.#failed.join(' ')}` : 'no violation';
    const undecided = this.#undecided > 0 ? ` (${this.#undecided} histories undecided)` : '';
    return (
      `${this.reports.length} seeds, ${(this.simulatedMs / 60_000).toFixed(1)} simulated minutes, ${this.events} events, ` +
      `${faults} faults (${faultsText(this.faults)}), ${this.operations} operations checked${undecided}, ${this.#witnessed} answers by the log, ` +
      `${this.cpuSeconds.toFixed(1)} s of CPU, ${verdict}`
    );
  }
}

export function faultsText(faults: ReadonlyMap<string, number>): string {
  return [...faults].map(([kind, count]) => `${kind} ${count}`).join(', ');
}

function percentile(sorted: readonly number[], part: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN).toFixed(0);
}

export function distribution(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  return `p50 ${percentile(sorted, 0.5)} p99 ${percentile(sorted, 0.99)} max ${percentile(sorted, 1)} ms of ${sorted.length}`;
}
