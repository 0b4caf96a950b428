/** Nodes with far more tags than gossip carries, beside a real Serf agent: who sees what, and that the agent is not bothered. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunkNode } from '../../src/index.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { freshClusterName } from '../e2e/node-process.ts';
import { FunknodeProgram } from './funknode-program.ts';
import { freePort, runProgram, skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';

const KEY = 'cg8StVXbQJ0gPvMd9o7yrg==';
const COUNT = 100;
/** Some 5 kB. */
const tagsOf = (mark: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: COUNT }, (_, i) => [`x-${mark}-${i}`, `${mark} ${'v'.repeat(30)} ${i}`]));
const WELL_KNOWN = ['meta.serviceName', 'ep.raft', 'ep.serf', 'ep.clusterfunk.management', 'fn.role', 'fn.stamp'];

for (const way of ['plain', 'sealed'] as const) {
  describe(`5 kB of tags, ${way}`, { skip: skipWithout('serf'), timeout: 120_000 }, () => {
    it('are seen whole by nodes, as far as gossip goes by a Serf agent, and follow every change', async () => {
      const clusterName = freshClusterName();
      const agent = await SerfAgent.start('s1', way === 'sealed' ? [`-encrypt=${KEY}`] : []);
      agent.beginQuiet();
      const rpc = `127.0.0.1:${await freePort()}`;
      await using library = new FunkNode({
        nodeId: 'f1',
        clusterName,
        bootstrap: true,
        inMemory: true,
        interface: '127.0.0.1',
        serfRpcAddr: rpc,
        join: [formatEndpoint(agent.address)],
        tag: tagsOf('one'),
        ...(way === 'sealed' ? { encrypt: KEY } : {}),
      });
      await library.start();
      const program = await FunknodeProgram.start('f2', [
        ...['--cluster-name', clusterName, '--role', 'non-voter', '--join', formatEndpoint(agent.address)],
        ...Object.entries(tagsOf('two')).flatMap(([name, value]) => ['--tag', `${name}=${value}`]),
        ...(way === 'sealed' ? ['--encrypt', KEY] : []),
      ]);
      try {
        await until(
          'the program sees all of it',
          async () => showsAll(await program.members(), 'f1', tagsOf('one')),
          60_000,
        );
        await until(
          'the library sees all of it',
          () => showsAll(library.members.map(plain), 'f2', tagsOf('two')),
          60_000,
        );
        const member = library.members.find(({ name }) => name === 'f2');
        assert.ok(member?.tagsComplete === true && !member.tags.has('fn.tags'));

        // The agent: what is well known, and as many more as fit.
        const seen = new Map((await agent.members()).map(({ name, tags }) => [name, tags]));
        for (const name of ['f1', 'f2']) {
          for (const tag of WELL_KNOWN) assert.ok(seen.get(name)?.[tag] !== undefined, `${name}: ${tag}`);
          assert.match(seen.get(name)?.['fn.tags'] ?? '', /^1:\d+:[\w-]{22}$/);
          assert.ok(Object.keys(seen.get(name) ?? {}).length < COUNT);
        }

        // Serf's own tool on a node: whole sets; and a change made by it is seen by all.
        const shown = await runProgram('serf', ['members', `-rpc-addr=${rpc}`, '-tag', `x-two-${COUNT - 1}=two.*`]);
        assert.match(shown, /^f2 /);
        await runProgram('serf', ['tags', `-rpc-addr=${rpc}`, '-set', 'x-one-99=changed', '-delete', 'x-one-98']);
        const changed: Record<string, string> = { ...tagsOf('one'), 'x-one-99': 'changed' };
        delete changed['x-one-98'];
        await until(
          'the change is seen',
          async () => showsAll(await program.members(), 'f1', changed, 'x-one-98'),
          60_000,
        );

        // A filter by a tag that the asker cannot see is answered by the node that has it.
        const answers = await agent.cli(
          'query',
          '-format=json',
          '-timeout=2s',
          '-tag',
          `x-two-${COUNT - 2}=two`,
          'who',
        );
        assert.deepEqual((JSON.parse(answers) as { readonly Acks: readonly string[] }).Acks, ['f2']);

        assert.deepEqual(agent.trouble(), []);
        assert.deepEqual(program.trouble(), []);
      } finally {
        await Promise.all([program.kill(), agent.kill()]);
      }
    });
  });
}

interface Shown {
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

function plain({ name, tags }: { readonly name: string; readonly tags: ReadonlyMap<string, string> }): Shown {
  return { name, tags: Object.fromEntries(tags) };
}

/** True, or what of it is not as it should be. */
function showsAll(
  members: readonly Shown[],
  name: string,
  tags: Readonly<Record<string, string>>,
  gone?: string,
): string | true {
  const shown = members.find((member) => member.name === name)?.tags ?? {};
  if (gone !== undefined && shown[gone] !== undefined) return `${gone} is still there`;
  const missing = Object.entries(tags).find(([tag, value]) => shown[tag] !== value);
  return missing === undefined
    ? true
    : `${missing[0]} is ${shown[missing[0]] ?? 'missing'}, of ${Object.keys(shown).length}`;
}
