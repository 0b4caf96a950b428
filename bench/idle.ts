/**
 * Idle: what a settled cluster costs while nobody asks anything of it: processor, memory and network of every node, by its role.
 * `node dist/bench/idle.js --nodes 3 --seconds 30`; `--nodes 10` is 5 voters and 5 non-voters.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { lastWords, startCluster, whenSettled } from './lib/cluster.ts';
import type { Funknode } from './lib/funknode.ts';
import { inOwnNetwork, isOwnNetwork, loopbackTraffic } from './lib/own-network.ts';
import { endAll, type Use } from './lib/program.ts';
import { load, medianOf, print, printHead } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const VOTERS_MOST = 5;
const FORM_MS = 30_000;
/** Start-up garbage and the first exchanges are over. */
const QUIET_MS = 10_000;

const words = wordsOf({
  nodes: { fallback: 3, least: 1, most: 25 },
  seconds: { fallback: 30, least: 5, most: 3_600 },
  'gossip-only': { fallback: 0, least: 0, most: 25 },
});

/** Counters that only rise, per second. */
const RATES = [
  ['turns', 'funknode_loop_turns_total'],
  ['inputs', 'funknode_loop_inputs_total'],
  ['gossip packets', 'funknode_swim_packets_sent_total'],
  ['gossip bytes', 'funknode_swim_sent_bytes_total'],
  ['peer messages', 'funknode_peers_messages_sent_total'],
  ['peer bytes', 'funknode_peers_sent_bytes_total'],
  ['echo checks', 'funknode_liveness_checks_sent_total'],
  ['disk writes', 'funknode_storage_batches_total'],
] as const;

interface Sample {
  readonly at: number;
  readonly use: Use;
  readonly metrics: ReadonlyMap<string, number>;
}

async function main(): Promise<void> {
  const voters = Math.min(words.nodes, VOTERS_MOST);
  const kinds = { voters, nonVoters: words.nodes - voters, nonMembers: words['gossip-only'] };
  const told = `${voters} voters, ${kinds.nonVoters} non-voters, ${kinds.nonMembers} gossip only`;
  printHead(`idle: ${told}, ${words.seconds} s`);
  const nodes = startCluster(`idle-${process.pid}`, kinds);
  const owners = nodes.slice(0, words.nodes);
  const leader = await whenSettled(owners, { owners, voters, ms: FORM_MS });
  if (leader === undefined) throw new Error(`did not settle\n${lastWords(nodes)}`);
  await sleep(QUIET_MS);
  const roleOf = (index: number): string => {
    if (index >= words.nodes) return 'gossip only';
    if (index >= voters) return 'non-voter';
    return nodes[index]?.id === leader ? 'leader' : 'voter';
  };
  const before = await Promise.all(nodes.map(sampleAfterMetrics));
  const trafficBefore = loopbackTraffic();
  await sleep(words.seconds * 1_000);
  const traffic = loopbackTraffic();
  // The processor first: what the reading of metrics costs is not idleness.
  const uses = nodes.map((node) => ({ at: performance.now(), use: node.use() }));
  const metrics = await Promise.all(nodes.map((node) => node.metrics()));
  const after = uses.map((use, index): Sample => ({ ...use, metrics: metrics[index] as Sample['metrics'] }));
  for (const role of ['leader', 'voter', 'non-voter', 'gossip only']) {
    const indexes = nodes.map((_, index) => index).filter((index) => roleOf(index) === role);
    if (indexes.length > 0) printRole(role, indexes, before, after);
  }
  if (isOwnNetwork) {
    const bytes = (traffic.bytes - trafficBefore.bytes) / words.seconds / nodes.length;
    const packets = (traffic.packets - trafficBefore.packets) / words.seconds / nodes.length;
    print(`on the wire, sent per node: ${bytes.toFixed(0)} bytes/s, ${packets.toFixed(1)} packets/s (all protocols)`);
  }
  print(`# load at the end ${load()}`);
  await endAll();
}

async function sampleAfterMetrics(node: Funknode): Promise<Sample> {
  const metrics = await node.metrics();
  return { metrics, use: node.use(), at: performance.now() };
}

function printRole(
  role: string,
  indexes: readonly number[],
  before: readonly Sample[],
  after: readonly Sample[],
): void {
  const each = (value: (from: Sample, to: Sample) => number): string => {
    const values = indexes.map((index) => value(before[index] as Sample, after[index] as Sample)).sort((a, b) => a - b);
    const spread = values.length > 1 ? ` (${values[0]?.toFixed(2)}..${values.at(-1)?.toFixed(2)})` : '';
    return `${medianOf(values).toFixed(2)}${spread}`;
  };
  const cpu = each((from, to) => ((to.use.cpuMs - from.use.cpuMs) / (to.at - from.at)) * 100);
  const rss = each((_, to) => to.use.rssMiB);
  const pss = each((_, to) => to.use.pssMiB);
  print(`${role} x ${indexes.length}: CPU ${cpu} % of one core, RSS ${rss} MiB, PSS ${pss} MiB`);
  const rates = RATES.map(([name, series]) => {
    const perSecond = each((from, to) => (valueOf(to, series) - valueOf(from, series)) / ((to.at - from.at) / 1_000));
    return `${name} ${perSecond}`;
  });
  print(`  per second: ${rates.join(', ')}`);
}

function valueOf(sample: Sample, series: string): number {
  return sample.metrics.get(series) ?? 0;
}

await inOwnNetwork(main);
