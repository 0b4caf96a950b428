/**
 * Formation: N processes started at the same instant on empty data directories, to all of them Operational under one map that
 * names them all. `node dist/bench/form.js --nodes 3 --trials 10`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { lastWords, startCluster, whenOperational, whenSettled } from './lib/cluster.ts';
import { inOwnNetwork } from './lib/own-network.ts';
import { endAll } from './lib/program.ts';
import { print, printHead, printSpread } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const FORM_MS = 30_000;
/** For so long a cluster that has formed is watched: it should not change its mind. */
const WATCH_MS = 2_000;

const words = wordsOf({
  nodes: { fallback: 3, least: 1, most: 25 },
  trials: { fallback: 10, least: 1, most: 1_000 },
});

interface Formed {
  /** From the first spawn. */
  readonly operationalMs: number;
  /** From the first spawn to the last node's banner: loading and opening, before a word was said. */
  readonly startedMs: number;
  readonly wavered: boolean;
}

/** Voters once all are promoted: an odd number, five at most unless told otherwise. */
function votersAmong(nodes: number): number {
  return Math.min(5, nodes % 2 === 1 ? nodes : nodes - 1);
}

async function form(trial: number): Promise<Formed | undefined> {
  const { nodes: count } = words;
  const nodes = startCluster(`form-${process.pid}-${trial}`, { voters: count });
  const begunAt = nodes[0]?.startedAt ?? 0;
  const at = await whenOperational(nodes, count, FORM_MS);
  if (at === undefined) {
    print(`trial ${trial}: did not form\n${lastWords(nodes)}`);
    return undefined;
  }
  await sleep(WATCH_MS);
  const wavered = nodes.some((node) => node.lines.some((line) => line.at > at && line.event === 'stateChanged'));
  if ((await whenSettled(nodes, { owners: nodes, voters: votersAmong(count), ms: FORM_MS })) === undefined) {
    print(`trial ${trial}: formed, and did not settle\n${lastWords(nodes)}`);
    return undefined;
  }
  const startedAt = nodes.map((node) => node.lines.find((line) => line.event === 'started')?.at ?? Number.NaN);
  return { operationalMs: at - begunAt, startedMs: Math.max(...startedAt) - begunAt, wavered };
}

await inOwnNetwork(async () => {
  printHead(`formation: ${words.nodes} nodes at once, ${words.trials} trials`);
  const formed: Formed[] = [];
  for (let trial = 1; trial <= words.trials; trial++) {
    const one = await form(trial);
    await endAll();
    if (one !== undefined) formed.push(one);
  }
  const times = (of: keyof Formed): number[] => formed.map((one) => Number(one[of]));
  printSpread('spawn -> last process has started', times('startedMs'), 'ms');
  printSpread('spawn -> all Operational under one map', times('operationalMs'), 'ms');
  const { length: wavered } = formed.filter((one) => one.wavered);
  print(`failed: ${words.trials - formed.length} of ${words.trials}; changed state again within 2 s: ${wavered}`);
  if (formed.length < words.trials) process.exitCode = 1;
});
