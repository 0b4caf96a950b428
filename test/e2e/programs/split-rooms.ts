/**
 * Runs in the middle of a network of rooms: five nodes become a cluster, are split 2|3 and healed, again and again, while everybody
 * is asked who owns what. Arguments: prefix of the rooms, `zeroconf` or `join`, rounds, milliseconds that a split lasts. Prints
 * what it measured as JSON; fails when the cluster does not behave.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { freshClusterName, IS_LONG, type LogLine, type NodeProcess, Scratch, settled } from '../node-process.ts';
import { addressOf, heal, roomOf, split } from '../network-rooms.ts';
import { conflicts, OwnershipPoll } from '../ownership-poll.ts';

const [prefix = '', way = '', rounds = '1', lastsMs = '3000'] = process.argv.slice(2);
/** From every part of the map; each question costs both sides. */
const SAMPLE: readonly number[] = IS_LONG
  ? [0, 1, 1_999, 2_500, 4_000, 5_000, 6_500, 8_000, 9_998, 9_999]
  : [0, 2_500, 4_000, 6_500, 9_999];
const ALL: readonly number[] = [1, 2, 3, 4, 5];

interface Measured {
  readonly minorityStopped: number[];
  readonly majorityServes: number[];
  readonly healed: number[];
  answers: number;
}

await using scratch = new Scratch();
const cluster = freshClusterName();
const join = ['--bootstrap-expect', '5', '--join', ALL.map((at) => `${addressOf(at)}:7946`).join()];
const nodes = ALL.map((at) =>
  scratch.start({
    id: `n${at}`,
    cluster,
    interface: addressOf(at),
    netns: roomOf(prefix, at),
    // Every split is a death; all are to have their share after each.
    args: ['--flap-hold=0ms', ...(way === 'zeroconf' ? ['--zeroconf'] : join)],
  }),
);
const measured: Measured = { minorityStopped: [], majorityServes: [], healed: [], answers: 0 };
const { clusterId } = await settled(nodes, { voters: 5 });
for (let round = 0; round < Number(rounds); round++) await splitAndHeal(round % 2 === 0);
process.stdout.write(`${JSON.stringify(measured)}\n`);

async function splitAndHeal(withLeaderInMinority: boolean): Promise<void> {
  const before = await settled(nodes, { voters: 5 });
  assert.equal(before.clusterId, clusterId);
  const leaderAt = Number(before.leader.slice(1));
  const followers = ALL.filter((at) => at !== leaderAt);
  const minorityAt = withLeaderInMinority ? [leaderAt, followers[0] as number] : followers.slice(0, 2);
  const minority = minorityAt.map((at) => nodes[at - 1] as NodeProcess);
  const majority = nodes.filter((node) => !minority.includes(node));
  await using poll = new OwnershipPoll(nodes, SAMPLE);
  await sleep(300);

  const splitAt = performance.now();
  const marks = new Map(nodes.map((node) => [node, node.lines.length]));
  say(`split off ${minorityAt.join(' ')}, leader ${leaderAt}`);
  split(minorityAt);
  const stopped = minority.map((node) =>
    node.waitFor('end of Operational', (line) => isLeaving(line), 60_000, marks.get(node)),
  );
  const serving = majority.map((node) => node.operationalUnder({ owners: 3, from: marks.get(node) ?? 0 }));
  measured.minorityStopped.push(latest(await Promise.all(stopped)) - splitAt);
  measured.majorityServes.push(latest(await Promise.all(serving)) - splitAt);
  await settled(majority);
  await poll.servedBy(majority);
  await sleep(Math.max(500, Number(lastsMs) - (performance.now() - splitAt)));
  for (const node of minority) {
    const { status } = await (await node.client()).status();
    assert.notEqual(status.state, 'Operational', `${node.id} is cut off`);
    assert.equal(status.holdsLease, false);
  }

  const healedAt = performance.now();
  for (const node of nodes) marks.set(node, node.lines.length);
  say('heal');
  heal(minorityAt);
  const again = nodes.map((node) => node.operationalUnder({ owners: 5, from: marks.get(node) ?? 0, ms: 120_000 }));
  measured.healed.push(latest(await Promise.all(again)) - healedAt);
  await settled(nodes, { voters: 5 });
  await sleep(300);
  await poll.stop();
  assert.deepEqual(conflicts(poll.answers), []);
  measured.answers += poll.answers.length;
}

function isLeaving({ event, fields }: LogLine): boolean {
  return event === 'stateChanged' && fields['to'] !== 'Operational';
}

function latest(lines: readonly LogLine[]): number {
  return Math.max(...lines.map((line) => line.at));
}

/** For the message of a test that fails. */
function say(what: string): void {
  process.stderr.write(`${new Date().toISOString()} ${what}\n`);
}
