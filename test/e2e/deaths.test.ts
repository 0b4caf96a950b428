/** Deaths and pauses of followers, leaders and non-voters: what they owned is served by the others, and never by two at once. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectManagement } from '../../src/client.ts';
import { distribution, freshClusterName, IS_LONG, type NodeProcess, Scratch, settled } from './node-process.ts';
import { conflicts, OwnershipPoll } from './ownership-poll.ts';

/** Of leaders there is most to say. */
const ROUNDS = { follower: IS_LONG ? 10 : 1, leader: IS_LONG ? 10 : 3, 'non-voter': IS_LONG ? 10 : 1 } as const;
const PAUSE_MS = 5_000;
/** One death follows the other here, and each time the node is to have its share back. */
const ARGS: readonly string[] = ['--zeroconf', '--flap-hold=0ms'];
/** From every part of the map; each question costs both sides. */
const SAMPLE: readonly number[] = IS_LONG ? [0, 1, 2_500, 4_999, 5_000, 7_500, 9_998, 9_999] : [0, 2_500, 5_000, 9_999];

/** Four nodes: three voters and a non-voter, settled. */
class Four {
  readonly scratch: Scratch = new Scratch();
  readonly cluster: string = freshClusterName();
  readonly nodes: Map<string, NodeProcess> = new Map();

  start(id: string): NodeProcess {
    const node = this.scratch.start(
      id === 'nv'
        ? { id, cluster: this.cluster, dataDir: null, args: [...ARGS, '--role', 'non-voter'] }
        : { id, cluster: this.cluster, args: ARGS },
    );
    this.nodes.set(id, node);
    return node;
  }

  get all(): NodeProcess[] {
    return [...this.nodes.values()];
  }

  settle(): ReturnType<typeof settled> {
    return settled(this.all, { voters: 3 });
  }

  node(id: string): NodeProcess {
    const node = this.nodes.get(id);
    assert.ok(node !== undefined, id);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scratch[Symbol.asyncDispose]();
  }
}

function four(): Four {
  const cluster = new Four();
  for (const id of ['n1', 'n2', 'n3', 'nv']) cluster.start(id);
  return cluster;
}

type Part = 'follower' | 'leader' | 'non-voter';

function whoIs(part: Part, leader: string): string {
  if (part === 'non-voter') return 'nv';
  if (part === 'leader') return leader;
  return ['n1', 'n2', 'n3'].find((id) => id !== leader) as string;
}

async function killInTurn(test: TestContext, cluster: Four, part: Part): Promise<void> {
  const first = await cluster.settle();
  const took: number[] = [];
  const back: number[] = [];
  for (let round = 0; round < ROUNDS[part]; round++) {
    const { leader } = await cluster.settle();
    const victim = cluster.node(whoIs(part, leader));
    const survivors = cluster.all.filter((node) => node !== victim);
    const marks = survivors.map((node) => node.lines.length);
    const killedAt = performance.now();
    victim.signal('SIGKILL');
    const lines = await Promise.all(
      survivors.map((node, at) => node.operationalUnder({ owners: 3, from: marks[at] as number })),
    );
    took.push(Math.max(...lines.map((line) => line.at)) - killedAt);
    const after = await settled(survivors);
    assert.deepEqual(Object.values(after.shares).sort(), [3333, 3333, 3334]);
    if (part === 'leader') assert.notEqual(after.leader, leader);
    else if (after.leader !== leader) test.diagnostic(`round ${round}: the leader changed, too`);
    await victim.ended;
    const startedAt = performance.now();
    cluster.start(victim.id);
    await cluster.settle();
    back.push(performance.now() - startedAt);
  }
  const last = await cluster.settle();
  assert.equal(last.clusterId, first.clusterId);
  assert.deepEqual(Object.values(last.shares), [2500, 2500, 2500, 2500]);
  test.diagnostic(`${part} killed to Operational on the other three: ${distribution(took)}`);
  test.diagnostic(`${part} started again to all settled: ${distribution(back)}`);
}

/** Pauses the node for 5 s while everybody is asked who owns what; then everybody is one cluster again. */
async function pauseOnce(test: TestContext, cluster: Four, part: Part): Promise<void> {
  const { leader, clusterId } = await cluster.settle();
  const victim = cluster.node(whoIs(part, leader));
  const others = cluster.all.filter((node) => node !== victim);
  // Its own connection: one that is older than ten seconds may send a keepalive into the pause, and is then given up.
  using client = await connectManagement(await victim.endpoint('ep.clusterfunk.management'));
  const poll = new OwnershipPoll(cluster.all, SAMPLE);
  try {
    await sleep(300);
    const marks = others.map((node) => node.lines.length);
    const mark = victim.lines.length;
    victim.signal('SIGSTOP');
    const stoppedAt = performance.now();
    const moved = await Promise.all(
      others.map((node, at) => node.operationalUnder({ owners: 3, from: marks[at] as number })),
    );
    const movedMs = Math.max(...moved.map((line) => line.at)) - stoppedAt;
    await poll.servedBy(others);
    await sleep(Math.max(0, PAUSE_MS - 1_000 - (performance.now() - stoppedAt)));
    // Sent into the pause: these answers can only have been made after it.
    const sentIntoPause = poll.askOnce(victim, client);
    await sleep(1_000);
    const continuedAt = performance.now();
    victim.signal('SIGCONT');
    const made = await sentIntoPause;
    await victim.waitForState('Operational', 60_000, mark);
    await cluster.settle();
    const backMs = performance.now() - continuedAt;
    await sleep(300);
    await poll.stop();
    assert.deepEqual(conflicts(poll.answers), []);
    const held = new Map(others.length === 0 ? [] : newestEpochs(poll.answers, continuedAt));
    for (const answer of made)
      assert.ok(
        !answer.owned || answer.epoch > (held.get(answer.shard) ?? 0),
        `the first word after the pause: ${JSON.stringify(answer)}`,
      );
    assert.equal((await settled(cluster.all)).clusterId, clusterId);
    test.diagnostic(
      `${part} paused: moved after ${Math.round(movedMs)} ms, settled ${Math.round(backMs)} ms after it went on; ${poll.answers.length} answers`,
    );
  } finally {
    await poll.stop();
  }
}

/** Per shard the newest epoch that anybody claimed before the instant. */
function newestEpochs(answers: OwnershipPoll['answers'], before: number): [number, number][] {
  const newest = new Map<number, number>();
  for (const { shard, epoch, owned, receivedAt } of answers)
    if (owned && receivedAt < before) newest.set(shard, Math.max(epoch, newest.get(shard) ?? 0));
  return [...newest];
}

describe('a cluster of three voters and a non-voter', () => {
  let cluster: Four;

  before(() => {
    cluster = four();
  });

  after(() => cluster[Symbol.asyncDispose]());

  it('goes on after each kill of a follower, and gives it its share when it is back', (t) =>
    killInTurn(t, cluster, 'follower'));

  it('goes on after each kill of the non-voter, and gives it its share when it is back', (t) =>
    killInTurn(t, cluster, 'non-voter'));

  it('has a new leader and a committed map after each kill of the leader, and takes the killed one back', (t) =>
    killInTurn(t, cluster, 'leader'));

  for (const part of ['follower', 'leader', 'non-voter'] as const)
    it(`has no two owners of a shard while the ${part} is paused and comes back`, (t) => pauseOnce(t, cluster, part));
});
