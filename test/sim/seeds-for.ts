/**
 * Seeds for so much time of one core. Every run begins with the same ones, so that what fails is of the change and not of the day; the long
 * form, and `FUNKNODE_SIM_FROM=now`, begin where no run has been before. `FUNKNODE_SIM_FROM=4711` runs those of another run again.
 */

/** Waiting for the core counts as well, up to this many times the asked time. */
const PATIENCE = 3;
const FIRST = 700_001;

export function* seedsFor(cpuSeconds: number): Generator<number> {
  const first = firstSeed();
  const cpuAtStart = process.cpuUsage().user;
  const startedAt = performance.now();
  for (let seed = first; ; seed++) {
    const isOver = process.cpuUsage().user - cpuAtStart >= cpuSeconds * 1e6;
    if (isOver || performance.now() - startedAt >= PATIENCE * cpuSeconds * 1_000) return;
    yield seed;
  }
}

function firstSeed(): number {
  const isLong = process.env['FUNKNODE_LONG'] === '1';
  const wanted = process.env['FUNKNODE_SIM_FROM'] ?? (isLong ? 'now' : String(FIRST));
  return wanted === 'now' ? (Math.floor(Date.now() / 1_000) % 100_000_000) * 16 : Number(wanted);
}
