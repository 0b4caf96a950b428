/**
 * Where seeds begin that no run has tried before. Each commit has seeds of its own: a new one looks where nobody has looked, and the same
 * one meets the same seeds again, so that what failed fails again, and what passed was not luck. `FUNKNODE_SIM_FROM=4711` begins at
 * a seed of another run, `FUNKNODE_SIM_FROM=now` and the long form where not even this commit has been.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Waiting for the core counts as well, up to this many times the asked time. */
const PATIENCE = 3;
/** Below are seeds that people have chosen. */
const FIRST = 10_000_000;
/** More than any run of one commit tries. */
const APART = 1_000;
/** Streams of chance take seeds as 32-bit numbers (chance.ts). */
const PLACES: number = Math.floor((2 ** 32 - FIRST) / APART);

/** For so much time of one core. */
export function* seedsFor(cpuSeconds: number): Generator<number> {
  const first = firstSeedOfTests();
  const cpuAtStart = process.cpuUsage().user;
  const startedAt = performance.now();
  for (let seed = first; ; seed++) {
    const isOver = process.cpuUsage().user - cpuAtStart >= cpuSeconds * 1e6;
    if (isOver || performance.now() - startedAt >= PATIENCE * cpuSeconds * 1_000) return;
    yield seed;
  }
}

/** Where a run of the tests begins. */
export function firstSeedOfTests(): number {
  const isLong = process.env['FUNKNODE_LONG'] === '1';
  return firstSeed(process.env['FUNKNODE_SIM_FROM'] ?? (isLong ? 'now' : 'commit'));
}

export function firstSeed(wanted: string): number {
  if (wanted === 'now') return placeOf(Math.floor(Date.now() / 1_000));
  return wanted === 'commit' ? placeOf(Number.parseInt(commit().slice(0, 12), 16)) : Number(wanted);
}

function placeOf(number: number): number {
  return FIRST + (number % PLACES) * APART;
}

/** The commit that is checked out; without a repository, the day. */
function commit(): string {
  try {
    const cwd = fileURLToPath(new URL('.', import.meta.url));
    const args = ['-c', 'safe.directory=*', 'rev-parse', '--verify', 'HEAD'];
    return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return Math.floor(Date.now() / 86_400_000).toString(16);
  }
}

/** Whoever asks for fewer seeds has less time, too: then every commit plants a third of the bugs of a list. */
const isShort = process.env['FUNKNODE_LONG'] !== '1' && Number(process.env['FUNKNODE_SIM_SEEDS'] ?? 500) < 500;
const third = Math.floor(firstSeedOfTests() / APART) % 3;

/** Whether the bug at that place of its list is planted in this run. */
export function isPlantedNow(place: number): boolean {
  return !isShort || place % 3 === third;
}
