import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { FunknodeProgram } from './funknode-program.ts';
import { IS_LONG, pause, skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';

const QUIET_MS = IS_LONG ? 600_000 : 3_000;
const FAILURE_MS = 60_000;

describe('the funknode program among real Serf agents', {
  skip: skipWithout('serf'),
  timeout: QUIET_MS + 180_000,
}, () => {
  const running = new Map<string, FunknodeProgram | SerfAgent>();

  const see = async (wanted: string, timeoutMs = 60_000): Promise<void> => {
    for (const [name, peer] of running) {
      const sameAs = async (): Promise<string | true> => {
        const seen = await peer.statuses();
        return seen === wanted ? true : seen;
      };
      await until(`${name} sees ${wanted}`, sameAs, timeoutMs);
    }
  };

  const agent = async (name: string, args: readonly string[], at?: SerfAgent['address']): Promise<SerfAgent> => {
    const started = await SerfAgent.start(name, args, at);
    running.set(name, started);
    return started;
  };

  const node = async (
    name: string,
    args: readonly string[],
    at?: FunknodeProgram['gossip'],
  ): Promise<FunknodeProgram> => {
    const started = await FunknodeProgram.start(name, args, at);
    running.set(name, started);
    return started;
  };

  after(async () => {
    await Promise.all([...running.values()].map((peer) => peer.kill()));
  });

  it('joins them and is joined, leaves and returns, and is missed when it dies', async () => {
    const s1 = await agent('s1', ['-tag', 'role=db']);
    const f1 = await node('f1', ['--bootstrap', '--join', formatEndpoint(s1.address)]);
    const s2 = await agent('s2', [`-join=${formatEndpoint(f1.gossip)}`]);
    const f2 = await node('f2', ['--role', 'non-voter', '--join', formatEndpoint(s2.address)]);
    await see('f1:alive f2:alive s1:alive s2:alive');
    const shown = (await s1.members()).find(({ name }) => name === 'f1')?.tags;
    assert.equal(shown?.['ep.serf'], formatEndpoint(f1.gossip));
    assert.equal((await f2.members()).find(({ name }) => name === 's1')?.tags['role'], 'db');

    s1.beginQuiet();
    s2.beginQuiet();
    await pause(QUIET_MS);
    await see('f1:alive f2:alive s1:alive s2:alive');
    running.delete('f2');
    await f2.leave();
    await see('f1:alive f2:left s1:alive s2:alive');
    assert.deepEqual([...s1.trouble(), ...s2.trouble(), ...f1.trouble()], []);

    // A member that left may come back at another address; agents allow it too.
    const back = await node('f2', ['--role', 'non-voter', '--join', formatEndpoint(s1.address)]);
    await see('f1:alive f2:alive s1:alive s2:alive');
    assert.notEqual(back.gossip.port, f2.gossip.port);

    running.delete('f2');
    running.delete('s2');
    await Promise.all([back.kill(), s2.kill()]);
    await see('f1:alive f2:failed s1:alive s2:failed', FAILURE_MS);
    await node('f2', ['--role', 'non-voter', '--join', formatEndpoint(s1.address)], back.gossip);
    await agent('s2', [`-join=${formatEndpoint(f1.gossip)}`], s2.address);
    await see('f1:alive f2:alive s1:alive s2:alive', 45_000);
  });
});
