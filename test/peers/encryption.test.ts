/** Encrypted clusters of real Serf agents and funknodes, and their keys managed from either side. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { FunkNode, type NodeOptions } from '../../src/index.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { FunknodeProgram } from './funknode-program.ts';
import { freePort, IS_LONG, pause, skipWithout, until } from './peer.ts';
import { SerfAgent } from './serf-agent.ts';

const QUIET_MS = IS_LONG ? 300_000 : 3_000;
const K1 = Buffer.alloc(16, 1).toString('base64');
const K2 = Buffer.alloc(32, 2).toString('base64');
const K3 = Buffer.alloc(24, 3).toString('base64');

type Peer = FunknodeProgram | SerfAgent;

async function see(peers: readonly Peer[], wanted: string, timeoutMs = 60_000): Promise<void> {
  for (const peer of peers) {
    const sameAs = async (): Promise<string | true> => {
      const seen = await peer.statuses();
      return seen === wanted ? true : seen;
    };
    await until(`${peer.name} sees ${wanted}`, sameAs, timeoutMs);
  }
}

/** What a command that fails says, on both streams. */
async function failure(run: Promise<string>): Promise<string> {
  try {
    return assert.fail(`it succeeded: ${await run}`);
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return `${stdout}${stderr}`;
  }
}

describe('an encrypted cluster of Serf agents and funknodes', {
  skip: skipWithout('serf'),
  timeout: QUIET_MS + 240_000,
}, () => {
  let folder = '';
  const running: Peer[] = [];
  const started = <P extends Peer>(peer: P): P => {
    running.push(peer);
    return peer;
  };
  const keyring = async (name: string, keys: readonly string[]): Promise<string> => {
    const path = join(folder, `${name}.json`);
    await writeFile(path, JSON.stringify(keys), { mode: 0o600 });
    return path;
  };
  const keysIn = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8'));

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'funk-keys-'));
  });
  after(async () => {
    await Promise.all(running.map((peer) => peer.kill()));
    await rm(folder, { recursive: true });
  });

  it('forms, changes its key under way from either side, and nobody is missed', async () => {
    const s1 = started(await SerfAgent.start('s1', [`-keyring-file=${await keyring('s1', [K1])}`]));
    const at = (peer: Peer): string => formatEndpoint(peer instanceof SerfAgent ? peer.address : peer.gossip);
    const f1 = started(
      await FunknodeProgram.start('f1', ['--bootstrap', '--keyring-file', await keyring('f1', [K1]), '--join', at(s1)]),
    );
    const s2 = started(await SerfAgent.start('s2', [`-keyring-file=${await keyring('s2', [K1])}`, `-join=${at(f1)}`]));
    const follower = ['--role', 'non-voter', '--keyring-file', await keyring('f2', [K1]), '--join', at(s2)];
    const f2 = started(await FunknodeProgram.start('f2', follower));
    const all = [s1, s2, f1, f2];
    const names = ['s1', 's2', 'f1', 'f2'];
    const alive = 'f1:alive f2:alive s1:alive s2:alive';
    await see(all, alive);
    for (const agent of [s1, s2]) agent.beginQuiet();

    assert.match(await s1.cli('keys', '-list'), /^AQEBAQEBAQEBAQEBAQEBAQ== +\[4\/4\]$/m);
    assert.match(await s1.cli('keys', `-install=${K2}`), /Successfully installed key/);
    for (const name of names) assert.deepEqual(await keysIn(name), [K1, K2], name);
    assert.equal((await stat(join(folder, 'f1.json'))).mode & 0o777, 0o600);
    assert.equal(await f1.ctl('keys', 'list'), `${K1}                     [4/4] primary [4/4]\n${K2} [4/4]\n`);
    assert.equal(await f2.ctl('keys', 'use', K2), 'Primary key changed on 4 of 4 nodes\n');
    for (const name of names) assert.deepEqual(await keysIn(name), [K2, K1], name);
    await pause(QUIET_MS);
    const refused = await failure(s2.cli('keys', `-remove=${K2}`));
    assert.match(refused, /failed:\s+f1\s+removing the primary key is not allowed/);
    assert.match(refused, /4\/4 nodes reported failure/);
    assert.match(
      await failure(f1.ctl('keys', 'use', K3)),
      /s1: requested key is not in the keyring[\s\S]*4\/4 nodes reported failure/i,
    );
    assert.equal(await f1.ctl('keys', 'remove', K1), 'Key removed on 4 of 4 nodes\n');
    assert.match(await s2.cli('keys', '-list'), /^AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI= +\[4\/4\]$/m);
    assert.doesNotMatch(await s2.cli('keys', '-list'), /AQEBAQEBAQEBAQEBAQEBAQ==/);
    for (const name of names) assert.deepEqual(await keysIn(name), [K2], name);
    await see(all, alive);
    for (const agent of [s1, s2]) assert.doesNotMatch(agent.log, /EventMemberFailed|Suspect/);

    // Who comes back after all this finds the new key in its own file.
    running.splice(running.indexOf(f2), 1);
    await f2.kill();
    const back = started(await FunknodeProgram.start('f2', follower, f2.gossip));
    await see([s1, s2, f1, back], alive, 60_000);
  });

  it('with one key each and compression takes nobody in who has none, and says why', async () => {
    const s3 = started(await SerfAgent.start('s3', [`-encrypt=${K2}`]));
    const at = formatEndpoint(s3.address);
    const f3 = started(await FunknodeProgram.start('f3', ['--role', 'non-voter', '--encrypt', K2, '--join', at]));
    const plain = started(await FunknodeProgram.start('plain', ['--role', 'non-voter', '--join', at]));
    await see([s3, f3], 'f3:alive s3:alive');
    await failure(plain.ctl('join', at));
    await failure(plain.ctl('join', formatEndpoint(f3.gossip)));
    await see([plain], 'plain:alive');
    await see([s3, f3], 'f3:alive s3:alive');
    assert.match(f3.log, /dropped from gossip: notEncrypted/);
    assert.match(s3.log, /encryption is configured but remote state is not encrypted/i);
  });

  it('answers with as many keys of a long list as an agent does, and in its words', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => Buffer.alloc(32, i + 1).toString('base64'));
    const s5 = started(await SerfAgent.start('s5', [`-keyring-file=${await keyring('s5', keys)}`]));
    const join5 = ['--join', formatEndpoint(s5.address), '--keyring-file', await keyring('f5', keys)];
    const f5 = started(await FunknodeProgram.start('f5', ['--role', 'non-voter', ...join5]));
    await see([s5, f5], 'f5:alive s5:alive');
    const { messages, keys: listed } = JSON.parse(await f5.ctl('keys', 'list', '--json')) as {
      readonly messages: readonly { readonly nodeId: string; readonly text: string }[];
      readonly keys: readonly { readonly key: string; readonly members: number }[];
    };
    const texts = new Map(messages.map(({ nodeId, text }) => [nodeId, text]));
    assert.match(texts.get('s5') ?? '', /^truncated key list response, showing first \d+ of 40 keys$/);
    assert.equal(texts.get('f5'), texts.get('s5'));
    assert.ok(listed.every(({ members }) => members === 2));
  });

  it('grows out of a plain one, a restart and a switch at a time, and then takes in an agent that knows no switches', async () => {
    const steps: readonly NodeOptions[] = [
      {},
      { encrypt: K1, gossipVerifyIncoming: false, gossipVerifyOutgoing: false },
      { encrypt: K1, gossipVerifyIncoming: false },
      { encrypt: K1 },
    ];
    const clusterName = `grows-${process.pid}`;
    const names = IS_LONG ? ['g1', 'g2', 'g3'] : ['g1', 'g2'];
    const ports = await Promise.all(names.map(() => freePort()));
    const places = ports.map((port) => `127.0.0.1:${port}`);
    let nodes: FunkNode[] = [];
    const allAlive = async (wanted: readonly string[]): Promise<void> => {
      const statuses = wanted.map((name) => `${name}:alive`).join(' ');
      const sees = (node: FunkNode): string =>
        node.members
          .map(({ name, status }) => `${name}:${status}`)
          .sort()
          .join(' ');
      for (const node of nodes)
        await until(`${node.id} sees ${statuses}`, () => sees(node) === statuses || sees(node), 40_000);
    };
    try {
      for (const [step, switches] of steps.entries()) {
        for (const [i, nodeId] of names.entries()) {
          const old = nodes[i];
          await old?.stop();
          const join = places.filter((_, at) => at !== i && nodes[at] !== undefined);
          const role: NodeOptions = join.length === 0 ? { bootstrap: true } : { role: 'non-voter', join };
          const common = {
            clusterName,
            nodeId,
            interface: '127.0.0.1',
            inMemory: true,
            serfEndpoint: places[i] as string,
          };
          const fresh = new FunkNode({ ...common, ...role, ...switches });
          nodes = [...nodes.slice(0, i), fresh, ...nodes.slice(i + 1)];
          await fresh.start();
          await allAlive(step === 0 ? names.slice(0, i + 1) : names);
        }
      }
      const s4 = started(await SerfAgent.start('s4', [`-encrypt=${K1}`, `-join=${places[0]}`]));
      await allAlive([...names, 's4']);
      await see([s4], [...names, 's4'].map((one) => `${one}:alive`).join(' '), 40_000);
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
  });
});
