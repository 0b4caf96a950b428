/** Seeds that no run has had before, for so much time of one core. `FUNKNODE_SIM_FROM` names the first, to run the same again. */

/** Waiting for the core counts as well, up to this many times the asked time. */
const PATIENCE = 3;

export function* freshSeeds(cpuSeconds: number): Generator<number> {
  const wanted = process.env['FUNKNODE_SIM_FROM'];
  const first = wanted === undefined ? (Math.floor(Date.now() / 1_000) % 100_000_000) * 16 : Number(wanted);
  const cpuAtStart = process.cpuUsage().user;
  const startedAt = performance.now();
  for (let seed = first; ; seed++) {
    const isOver = process.cpuUsage().user - cpuAtStart >= cpuSeconds * 1e6;
    if (isOver || performance.now() - startedAt >= PATIENCE * cpuSeconds * 1_000) return;
    yield seed;
  }
}
