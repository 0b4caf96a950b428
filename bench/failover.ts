/**
 * Failover: one node of a settled cluster is killed (or stopped, as a hung host is), to all survivors Operational under a committed
 * map without it. `node dist/bench/failover.js --nodes 3 --victim leader --trials 10`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { lastWords, startCluster, startNode, whenOperational, whenSettled } from './lib/cluster.ts';
import { type Funknode, whenAll } from './lib/funknode.ts';
import { inOwnNetwork } from './lib/own-network.ts';
import { endAll } from './lib/program.ts';
import { load, print, printHead, printSpread } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const SETTLE_MS = 30_000;
const RECOVER_MS = 15_000;
/** Faults fall anywhere between two heartbeats, renewals and housekeepings. */
const JITTER_MS = 1_000;
/** So long nothing may happen after a recovery, and the survivors are watched. */
const WATCH_MS = 1_000;

const words = wordsOf({
  nodes: { fallback: 3, least: 3, most: 7 },
  victim: { choices: ['leader', 'follower', 'non-voter'] },
  trials: { fallback: 10, least: 1, most: 1_000 },
  signal: { choices: ['SIGKILL', 'SIGSTOP'] },
});

interface Recovery {
  readonly newLeaderMs: number;
  readonly operationalMs: number;
  /** Survivors that stopped serving for a moment: shards that did not move should have been served throughout. */
  readonly leasesLost: number;
  readonly wavered: boolean;
  readonly returnMs: number;
}

const cluster = `failover-${process.pid}`;

async function main(): Promise<void> {
  const isNonVoter = words.victim === 'non-voter';
  printHead(`failover: ${words.signal} of a ${words.victim}, ${words.nodes} voters, ${words.trials} trials`);
  const nodes = startCluster(cluster, { voters: words.nodes, nonVoters: isNonVoter ? 1 : 0 });
  const recoveries: Recovery[] = [];
  let never = 0;
  for (let trial = 1; trial <= words.trials; trial++) {
    const leader = await whenSettled(nodes, { owners: nodes, voters: words.nodes, ms: SETTLE_MS });
    if (leader === undefined) {
      print(`trial ${trial}: not settled before the fault\n${lastWords(nodes)}`);
      never += words.trials - trial + 1;
      break;
    }
    await sleep(Math.random() * JITTER_MS);
    const recovery = await failOver(nodes, leader);
    if (recovery === undefined) never += 1;
    else recoveries.push(recovery);
  }
  report(recoveries, never);
  await endAll();
}

/** One fault and one return; `nodes` holds the victim's new process afterwards. */
async function failOver(nodes: Funknode[], leader: string): Promise<Recovery | undefined> {
  const at = nodes.findIndex((node) => isVictim(node, leader));
  const victim = nodes[at] as Funknode;
  const survivors = nodes.filter((node) => node !== victim);
  const faultAt = performance.now();
  victim.signal(words.signal as NodeJS.Signals);
  const hasNewLeader = whenAll(
    survivors,
    ({ standing }) => standing.leaderAt >= faultAt && standing.leader !== '' && standing.leader !== leader,
    words.victim === 'leader' ? RECOVER_MS : 0,
  );
  const recoveredAt = await whenOperational(survivors, survivors.length, RECOVER_MS);
  if (recoveredAt === undefined) print(`never recovered\n${lastWords(survivors)}`);
  else await sleep(WATCH_MS);
  const since = (from: number, event: string): number =>
    survivors.reduce((sum, node) => sum + node.count(event, from), 0);
  const leasesLost = since(faultAt, 'leaseLost');
  const wavered = since((recoveredAt ?? 0) + 1, 'stateChanged') > 0;
  const returnedAt = performance.now();
  if (words.signal === 'SIGSTOP') victim.signal('SIGCONT');
  else {
    await victim.ended;
    nodes[at] = startNode(cluster, victim.id, words.victim === 'non-voter' ? 'non-voter' : 'voter');
  }
  const isBackAt = await whenOperational(nodes, nodes.length, RECOVER_MS);
  if (recoveredAt === undefined) return undefined;
  const newLeaderMs = ((await hasNewLeader) ?? Number.NaN) - faultAt;
  const returnMs = (isBackAt ?? Number.NaN) - returnedAt;
  return { newLeaderMs, operationalMs: recoveredAt - faultAt, leasesLost, wavered, returnMs };
}

function isVictim(node: Funknode, leader: string): boolean {
  if (words.victim === 'leader') return node.id === leader;
  if (words.victim === 'non-voter') return node.id === `n${words.nodes + 1}`;
  return node.id !== leader;
}

function report(recoveries: readonly Recovery[], never: number): void {
  const times = (of: keyof Recovery): number[] => recoveries.map((one) => Number(one[of])).filter(Number.isFinite);
  const fault = words.signal;
  if (words.victim === 'leader') printSpread(`${fault} -> all survivors know a new leader`, times('newLeaderMs'), 'ms');
  printSpread(`${fault} -> survivors Operational, map without the dead`, times('operationalMs'), 'ms');
  const back = fault === 'SIGSTOP' ? 'SIGCONT' : 'started again';
  printSpread(`${back} -> all Operational, map with it again`, times('returnMs'), 'ms');
  const leases = recoveries.reduce((sum, one) => sum + one.leasesLost, 0);
  const { length: wavered } = recoveries.filter((one) => one.wavered);
  print(
    `never recovered: ${never} of ${words.trials}; leases that survivors lost: ${leases}; changed state again: ${wavered}`,
  );
  print(`# load at the end ${load()}`);
  if (never > 0) process.exitCode = 1;
}

await inOwnNetwork(main);
