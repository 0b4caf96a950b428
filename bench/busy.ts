/**
 * A settled cluster on a machine whose processors are busy with other work: every election, lost lease and member called dead is a false
 * alarm, for nobody is harmed. `node dist/bench/busy.js --voters 3 --minutes 30 --busy 80`; `--busy` is per cent of every processor.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastWords, startCluster, whenSettled } from './lib/cluster.ts';
import type { Funknode } from './lib/funknode.ts';
import { inOwnNetwork } from './lib/own-network.ts';
import { endAll } from './lib/program.ts';
import { load, print, printHead } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const SETTLE_MS = 60_000;
/** Elections of the founding are over, and the map stands. */
const QUIET_MS = 5_000;
const FALSE_ALARMS = [
  'leaderLost',
  'leaderChanged',
  'leaseLost',
  'memberFailed',
  'memberSuspected',
  'stateChanged',
] as const;
/** Works and rests within a tenth of a second, and ends by itself. */
const HOG = `
const [share, ms] = process.argv.slice(1).map(Number);
const end = performance.now() + ms;
const work = () => {
  const from = performance.now();
  while (performance.now() - from < share) Math.sqrt(from);
  if (from < end) setTimeout(work, 100 - share);
};
work();`;

const words = wordsOf({
  voters: { fallback: 3, least: 1, most: 7 },
  minutes: { fallback: 5, least: 1, most: 120 },
  busy: { fallback: 80, least: 0, most: 99 },
});

async function main(): Promise<void> {
  const ms = words.minutes * 60_000;
  printHead(
    `busy: ${words.voters} voters, ${availableParallelism()} processors each ${words.busy} % busy, ${words.minutes} min`,
  );
  const hogs = words.busy === 0 ? [] : Array.from({ length: availableParallelism() }, () => hog(ms + SETTLE_MS));
  try {
    const nodes = startCluster(`busy-${process.pid}`, { voters: words.voters });
    const leader = await whenSettled(nodes, { owners: nodes, voters: words.voters, ms: SETTLE_MS });
    if (leader === undefined) throw new Error(`did not settle\n${lastWords(nodes)}`);
    await sleep(QUIET_MS);
    const from = performance.now();
    await sleep(ms);
    report(nodes, from);
    await endAll();
  } finally {
    for (const process of hogs) process.kill('SIGKILL');
  }
}

function hog(ms: number): ChildProcess {
  return spawn(process.execPath, ['--eval', HOG, String(words.busy), String(ms)], { stdio: 'ignore' });
}

function report(nodes: readonly Funknode[], from: number): void {
  for (const event of FALSE_ALARMS) {
    const counts = nodes.map((node) => node.count(event, from));
    print(`${event.padEnd(16)} ${counts.reduce((sum, count) => sum + count, 0)}  (by node: ${counts.join(' ')})`);
  }
  for (const { id, lines } of nodes)
    for (const { at, event, fields } of lines)
      if (at >= from && event === 'leaderLost')
        print(`  ${id} after ${Math.round((at - from) / 1_000)} s: ${String(fields['msg'])}`);
  print(`# load at the end ${load()}`);
}

await inOwnNetwork(main);
