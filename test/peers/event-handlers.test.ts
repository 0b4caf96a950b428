/** The same script run by a real Serf agent and by our node is told the same. wire-gossip.md 19.3. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FunkNode } from '../../src/index.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { freshClusterName } from '../e2e/node-process.ts';
import { skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';

/** Of our own tags an agent knows nothing. */
const OURS = /^SERF_TAG_(?:EP|FN|CLUSTERFUNK|SERVICE)|^SERF_SELF_NAME|^SERF_TAG_[A-Z_]*SERVICE/;

describe('event handlers', { skip: skipWithout('serf') }, () => {
  it('are told by a node what an agent tells them, and answer queries as there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-handlers-'));
    const script = (who: string): string =>
      `member-join,user,query:load={ echo "== $SERF_EVENT"; env | grep ^SERF_ | sort; cat; } >> ${join(folder, who)}; echo from ${who}`;
    const tags = ['-tag', 'role=web', '-tag', 'data-center=ams'];
    const agent = await SerfAgent.start('s1', ['-event-handler', script('s1'), ...tags]);
    await using node = new FunkNode({
      nodeId: 'f1',
      clusterName: freshClusterName(),
      bootstrap: true,
      inMemory: true,
      interface: '127.0.0.1',
      join: [formatEndpoint(agent.address)],
      tag: { role: 'web', 'data-center': 'ams' },
      eventHandler: [script('f1')],
    });
    await node.start();
    await until('they know each other', () => node.members.length === 2 || String(node.members.length), 20_000);
    const third = await SerfAgent.start('s3', [
      '-tag',
      'role=db',
      '-tag',
      'zone=a',
      `-join=${formatEndpoint(agent.address)}`,
    ]);
    const of = (who: string, block: RegExp): string => {
      const path = join(folder, who);
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      const found = text.split('== ').findLast((part) => block.test(part));
      return (found ?? '')
        .split('\n')
        .filter((line) => line !== '' && !OURS.test(line))
        .join('\n');
    };
    try {
      await agent.cli('event', 'deploy', 'v1');
      const answers = await agent.cli('query', '-format=json', '-timeout=3s', '-node=f1', '-node=s1', 'load', 'since');
      assert.deepEqual((JSON.parse(answers) as { Responses: Record<string, string> }).Responses, {
        f1: 'from f1\n',
        s1: 'from s1\n',
      });
      for (const block of [/^user/, /^query/, /^member-join[\s\S]*^s3\t/m]) {
        await until(
          `both have run for ${block}`,
          () => (of('s1', block) !== '' && of('f1', block) !== '') || 'not yet',
          60_000,
        );
        const [theirs, ours] = ['s1', 'f1'].map((who) => of(who, block));
        if (block.test('user') || block.test('query')) assert.equal(ours, theirs);
        else {
          const line = (text = ''): string | undefined => text.split('\n').find((one) => one.startsWith('s3\t'));
          assert.deepEqual(line(ours)?.split(/[\t,]/).sort(), line(theirs)?.split(/[\t,]/).sort());
        }
      }
      assert.match(
        of('f1', /^user/),
        /SERF_EVENT=user\nSERF_SELF_ROLE=web\nSERF_TAG_DATA_CENTER=ams\nSERF_TAG_ROLE=web\nSERF_USER_EVENT=deploy\nSERF_USER_LTIME=1\nv1/,
      );
    } finally {
      await Promise.all([agent.kill(), third.kill()]);
      rmSync(folder, { recursive: true });
    }
  });
});
