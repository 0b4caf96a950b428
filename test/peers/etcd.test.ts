/** A real etcd keeps the log of three nodes: founding, a leader that dies, an etcd that stands still, and data that is none. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freshClusterName, type NodeProcess, Scratch, settled } from '../e2e/node-process.ts';
import { freePort, PeerProcess, peerOrSkip, runProgram, until } from './peer.ts';

const TTL_MS = 2_000;
const ARGS: readonly string[] = ['--zeroconf', '--flap-hold=0ms', `--etcd-lease=${TTL_MS}ms`];

class Etcd implements AsyncDisposable {
  readonly url: string;
  readonly process: PeerProcess;

  private constructor(url: string, process: PeerProcess) {
    this.url = url;
    this.process = process;
  }

  static async start(folder: string): Promise<Etcd> {
    const [url, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
    const process = new PeerProcess('etcd', [
      ...['--name', 'e1', '--data-dir', join(folder, 'etcd'), '--initial-cluster', `e1=${peer}`],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ]);
    const etcd = new Etcd(url, process);
    await until('etcd answers', () => etcd.ask('endpoint', 'health').then(() => true, String), 30_000);
    return etcd;
  }

  ask(...words: readonly string[]): Promise<string> {
    return runProgram('env', ['ETCDCTL_API=3', 'etcdctl', '--endpoints', this.url, ...words], 10_000);
  }

  async keys(cluster: string): Promise<string[]> {
    const text = await this.ask('get', '--prefix', `/funknode/${cluster}/`, '--keys-only');
    return text.split('\n').flatMap((key) => (key === '' ? [] : [key.slice(`/funknode/${cluster}/`.length)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.signal('SIGCONT');
    await this.process.stop();
  }
}

async function mapVersion(node: NodeProcess): Promise<number> {
  const { map } = await (await node.client()).shardMap({ ownersOnly: true });
  return Number(map?.version);
}

describe('a standalone etcd in the place of Raft', () => {
  it('founds, follows a dead leader within its lease, stops serving without etcd and goes on with it, and believes no garbage', async (t) => {
    if (peerOrSkip(t, 'etcd') === undefined || peerOrSkip(t, 'etcdctl') === undefined) return;
    await using scratch = new Scratch();
    await using etcd = await Etcd.start(scratch.folder);
    const cluster = freshClusterName();
    const start = (id: string): NodeProcess =>
      scratch.start({ id, cluster, args: [...ARGS, '--etcd-endpoints', etcd.url] });
    const nodes = ['n1', 'n2', 'n3'].map(start);
    const { leader, clusterId } = await settled(nodes, { voters: 0 });
    const keys = await etcd.keys(cluster);
    assert.deepEqual(
      keys.filter((key) => !key.startsWith('log/')),
      ['head/cluster', 'head/end', 'head/seat'],
    );
    assert.match(await etcd.ask('get', `/funknode/${cluster}/head/cluster`, '--print-value-only'), RegExp(clusterId));

    const victim = nodes.find((node) => node.id === leader) as NodeProcess;
    const others = nodes.filter((node) => node !== victim);
    const killedAt = performance.now();
    victim.signal('SIGKILL');
    const [led] = await Promise.all(
      others.map((node) =>
        node.waitFor('a new leader', ({ at, event, fields }) => {
          return at > killedAt && event === 'leaderChanged' && fields['leader'] !== leader;
        }),
      ),
    );
    t.diagnostic(`a new leader ${Math.round((led?.at ?? 0) - killedAt)} ms after a kill, with a lease of ${TTL_MS} ms`);
    assert.notEqual((await settled(others, { voters: 0 })).leader, leader);
    const all = [...others, start(leader)];
    const before = await settled(all, { voters: 0 });
    assert.equal(before.clusterId, clusterId);
    const version = await mapVersion(all[0] as NodeProcess);

    const from = all.map((node) => node.lines.length);
    etcd.process.signal('SIGSTOP');
    await Promise.all(
      all.map((node, at) => node.waitFor('a lost lease', ({ event }) => event === 'leaseLost', 60_000, from[at])),
    );
    const waiting = await (all[0] as NodeProcess).waitFor('etcd', ({ event }) => event === 'waiting', 60_000, from[0]);
    assert.match(JSON.stringify(waiting.fields), /etcd at http.* does not answer/);
    etcd.process.signal('SIGCONT');
    await settled(all, { voters: 0 });
    assert.equal(await mapVersion(all[0] as NodeProcess), version, 'no shard has moved');

    const last = (await etcd.keys(cluster)).findLast((key) => key.startsWith('log/')) as string;
    const next = String(Number(last.slice('log/'.length)) + 1).padStart(16, '0');
    await etcd.ask('put', `/funknode/${cluster}/log/${next}`, 'none of ours');
    const ends = await Promise.all(all.map((node) => node.ended));
    assert.deepEqual(
      ends.map(({ code }) => code),
      [65, 65, 65],
    );
    assert.match((all[0] as NodeProcess).output, /what lies in etcd cannot be read/);
  });
});
