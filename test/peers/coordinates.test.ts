/** Round trips and reachability between real Serf agents and funknodes, asked of both sides. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { FunknodeProgram } from './funknode-program.ts';
import { skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';

/** On one machine; a coordinate that has seen nothing estimates 0.02 ms, an unsettled one some milliseconds. */
const LOOPBACK_MS_MAX = 50;

function estimate(line: string): number {
  const found = /^Estimated (\S+) <-> (\S+) rtt: (\d+\.\d{3}) ms$/m.exec(line);
  assert.ok(found !== null, line);
  return Number(found[3]);
}

describe('coordinates beside a real Serf agent', { skip: skipWithout('serf'), timeout: 120_000 }, () => {
  let s1: SerfAgent;
  let f1: FunknodeProgram;
  let f2: FunknodeProgram;

  before(async () => {
    s1 = await SerfAgent.start('s1', ['-tag', 'role=web']);
    const join = ['--join', formatEndpoint(s1.address), '--tag', 'zone=a'];
    f1 = await FunknodeProgram.start('f1', ['--bootstrap', ...join]);
    f2 = await FunknodeProgram.start('f2', ['--role', 'non-voter', ...join]);
    for (const peer of [s1, f1, f2]) {
      const seen = async (): Promise<string | true> => {
        const statuses = await peer.statuses();
        return statuses === 'f1:alive f2:alive s1:alive' || statuses;
      };
      await until(`${peer.name} sees all`, seen, 60_000);
    }
  });

  after(async () => {
    await Promise.all([s1, f1, f2].map((peer) => peer?.kill()));
  });

  it('serf rtt on an agent knows our nodes, funkctl rtt knows the agent, and they agree', async () => {
    const asked = async (ask: () => Promise<string>): Promise<number> => {
      let last = '';
      const answered = async (): Promise<string | true> => {
        try {
          last = await ask();
          return true;
        } catch (error) {
          return String(error);
        }
      };
      await until('a round trip is known', answered, 60_000);
      return estimate(last);
    };
    const theirs = await asked(() => s1.cli('rtt', 's1', 'f1'));
    const ours = await asked(() => f1.ctl('rtt', 's1', 'f1'));
    const among = await asked(() => s1.cli('rtt', 'f1', 'f2'));
    const own = await asked(() => f2.ctl('rtt', 's1'));
    for (const ms of [theirs, ours, among, own]) assert.ok(ms > 0 && ms < LOOPBACK_MS_MAX, `${ms} ms`);
    const json = JSON.parse(await f1.ctl('rtt', 's1', '--json'));
    assert.deepEqual([json.from, json.to], ['s1', 'f1']);
    // The same coordinates, the same arithmetic: what the agent publishes of itself is what we hold of it, up to the last acks.
    const back = Number((await asked(() => f1.ctl('rtt', 'f1', 's1'))).toFixed(3));
    assert.ok(Math.abs(back - json.seconds * 1_000) < 5, `${back} and ${json.seconds * 1_000}`);
  });

  it('a member that nobody measured is refused with a reason', async () => {
    await assert.rejects(f1.ctl('rtt', 'nobody'), /no coordinate of "nobody" is known/);
  });

  it('reachability contacts everyone, from either side', async () => {
    const asked = [s1.cli('reachability'), f1.ctl('reachability', '--verbose'), f2.ctl('reachability', '--json')];
    const [theirs, shown, json] = (await Promise.all(asked)) as [string, string, string];
    assert.match(theirs, /Successfully contacted all live nodes/);
    assert.match(shown, /^Total members: 3, live members: 3$/m);
    for (const name of ['s1', 'f1', 'f2']) assert.match(shown, new RegExp(`^\tAck from '${name}'$`, 'm'));
    assert.match(shown, /^Successfully contacted all live nodes$/m);
    const { acked, missing, unexpected } = JSON.parse(json);
    assert.deepEqual([acked.sort(), missing, unexpected], [['f1', 'f2', 's1'], [], []]);
  });

  it('members are filtered by name, status and tag, whole values only', async () => {
    const names = async (...args: readonly string[]): Promise<string[]> => {
      const { members } = JSON.parse(await f1.ctl('members', '--json', ...args)) as { members: { name: string }[] };
      return members.map(({ name }) => name);
    };
    assert.deepEqual(await names('--name', 'f.'), ['f1', 'f2']);
    assert.deepEqual(await names('--name', 'f'), []);
    assert.deepEqual(await names('--name', 'f1|s.*', '--status', 'alive'), ['f1', 's1']);
    assert.deepEqual(await names('--status', 'failed|left'), []);
    assert.deepEqual(await names('--tag', 'zone=a', '--name', '.1'), ['f1']);
    assert.deepEqual(await names('--tag', 'role=w..'), ['s1']);
    await assert.rejects(f1.ctl('members', '--name', '('), /no regular expression in RE2 syntax/);
  });

  it('reachability names a frozen member, and fails', async () => {
    s1.signal('SIGSTOP');
    try {
      await assert.rejects(f1.ctl('reachability'), (error: { stdout: string; code: number }) => {
        assert.match(error.stdout, /said to be alive do not answer:\n\ts1\n/);
        assert.equal(error.code, 1);
        return true;
      });
    } finally {
      s1.signal('SIGCONT');
    }
  });
});
