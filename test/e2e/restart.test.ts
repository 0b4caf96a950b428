/** What stays when nodes stop: all of them in order, all at once, all killed; at another address; with lost or damaged data. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readdirSync, readSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../peers/peer.ts';
import { freshClusterName, type LogLine, type NodeProcess, Scratch, settled } from './node-process.ts';

const IDS: readonly string[] = ['n1', 'n2', 'n3'];

class Three implements AsyncDisposable {
  readonly scratch: Scratch = new Scratch();
  readonly cluster: string = freshClusterName();
  readonly nodes: Map<string, NodeProcess> = new Map();
  readonly #args: readonly string[];

  constructor(args: readonly string[] = ['--zeroconf']) {
    this.#args = args;
    for (const id of IDS) this.start(id);
  }

  start(id: string, more: readonly string[] = [], at?: string): NodeProcess {
    const options = { id, cluster: this.cluster, args: [...this.#args, ...more] };
    const node = this.scratch.start(at === undefined ? options : { ...options, interface: at });
    this.nodes.set(id, node);
    return node;
  }

  node(id: string): NodeProcess {
    return this.nodes.get(id) as NodeProcess;
  }

  get all(): NodeProcess[] {
    return [...this.nodes.values()];
  }

  settle(): ReturnType<typeof settled> {
    return settled(this.all, { voters: 3 });
  }

  dataDir(id: string): string {
    return join(this.scratch.folder, id);
  }

  /** `id@stamp` of every voter, as the first node tells. */
  async voters(): Promise<string[]> {
    const { members } = await (await this.node('n1').client()).members();
    return members
      .filter(({ raftState }) => raftState === 'Voter')
      .map(({ memberId }) => memberId)
      .sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scratch[Symbol.asyncDispose]();
  }
}

async function stop(node: NodeProcess): Promise<void> {
  node.signal('SIGTERM');
  assert.deepEqual(await node.ended, { code: 0, signal: null }, node.output.slice(-4_000));
}

async function kill(node: NodeProcess): Promise<void> {
  node.signal('SIGKILL');
  await node.ended;
}

/** The newest segment of the log, and not the room that is prepared for the next. */
function newestSegment(dataDir: string): string {
  const folder = join(dataDir, 'wal');
  const segments = readdirSync(folder)
    .filter((name) => name.endsWith('.wal'))
    .sort();
  return join(folder, segments.at(-1) as string);
}

/** Where the records end and the room that was taken in advance, all zero, begins. */
function writtenSize(path: string): number {
  const file = openSync(path, 'r');
  const bytes = Buffer.alloc(fstatSync(file).size);
  readSync(file, bytes, 0, bytes.length, 0);
  closeSync(file);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

function flipByte(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, offset);
  byte[0] = (byte[0] as number) ^ 0x40;
  writeSync(file, byte, 0, 1, offset);
  closeSync(file);
}

/** Each case leaves the cluster as the next one needs it: settled, of three voters. */
describe('three voters with their data', () => {
  let three: Three;
  let clusterId: string;
  let voters: readonly string[];

  before(async () => {
    three = new Three();
    clusterId = (await three.settle()).clusterId;
    voters = await three.voters();
  });

  after(() => three[Symbol.asyncDispose]());

  async function isAsBefore(): Promise<void> {
    assert.equal((await three.settle()).clusterId, clusterId);
    assert.deepEqual(await three.voters(), voters);
  }

  it('are the same cluster of the same nodes after an orderly stop one by one, and after one all at once', async () => {
    for (const node of three.all) await stop(node);
    for (const id of IDS) three.start(id);
    await isAsBefore();
    await Promise.all(three.all.map(stop));
    for (const id of IDS) three.start(id);
    await isAsBefore();
  });

  it('are the same cluster of the same nodes when all were killed', async () => {
    await Promise.all(three.all.map(kill));
    for (const id of IDS) three.start(id);
    await isAsBefore();
  });

  it('start from a log whose last record is torn', async () => {
    await kill(three.node('n3'));
    const segment = newestSegment(three.dataDir('n3'));
    truncateSync(segment, writtenSize(segment) - 3);
    three.start('n3');
    await isAsBefore();
  });

  it('refuse, each time, to start from a log with a flipped byte in its middle, and say where it is', async () => {
    await kill(three.node('n3'));
    const segment = newestSegment(three.dataDir('n3'));
    flipByte(segment, Math.floor(writtenSize(segment) / 2));
    for (let time = 0; time < 2; time++) {
      const refused = three.start('n3');
      assert.deepEqual(await refused.ended, { code: 65, signal: null }, refused.output);
      assert.ok(refused.output.includes(segment), refused.output);
      assert.match(refused.output, /(?:offset|byte) \d+/);
    }
    await settled(IDS.slice(0, 2).map((id) => three.node(id)));
  });

  it('take a node that lost its disk as a new member under its name', async () => {
    rmSync(three.dataDir('n3'), { recursive: true });
    three.start('n3');
    assert.equal((await three.settle()).clusterId, clusterId);
    await until(
      'the new stamp is in',
      async () => {
        const now = await three.voters();
        const isSwapped = now.length === 3 && now[0] === voters[0] && now[1] === voters[1] && now[2] !== voters[2];
        return isSwapped || now.join();
      },
      60_000,
    );
  });
});

describe('three voters that come back elsewhere', () => {
  it('are taken back at another address and other ports: one of them, then all at once', async () => {
    await using three = new Three();
    const { clusterId } = await three.settle();
    const voters = await three.voters();
    const serf = await three.node('n1').endpoint('ep.serf');
    const was = await three.node('n3').endpoint('ep.raft');
    await kill(three.node('n3'));
    three.start('n3', ['--zeroconf=false', '--join', serf], '127.0.0.2');
    assert.equal((await three.settle()).clusterId, clusterId);
    assert.deepEqual(await three.voters(), voters);
    const is = await three.node('n3').endpoint('ep.raft');
    assert.match(is, /^127\.0\.0\.2:/);
    assert.notEqual(is, was);

    await Promise.all(three.all.map(stop));
    const join = ['--zeroconf=false', '--join', '127.0.0.3:17946,127.0.0.4:17946,127.0.0.5:17946'];
    for (const [at, id] of IDS.entries())
      three.start(id, [...join, `--serf-endpoint=127.0.0.${3 + at}:17946`], `127.0.0.${3 + at}`);
    assert.equal((await three.settle()).clusterId, clusterId);
    assert.deepEqual(await three.voters(), voters);
  });
});

describe('three voters of which only the operator makes voters', () => {
  it('keep their votes through a stop when only the operator changes voters', async () => {
    await using three = new Three(['--zeroconf', '--auto-join=false']);
    const { clusterId, leader } = await settled(three.all, { voters: 1 });
    const client = await three.node(leader).client();
    for (const id of IDS) if (id !== leader) await client.addNode(id, { timeoutMs: 60_000 });
    await three.settle();
    const voters = await three.voters();
    assert.equal(voters.length, 3);
    await stop(three.node('n3'));
    const pair = [three.node('n1'), three.node('n2')];
    await settled(pair, { voters: 3 });
    assert.deepEqual(await three.voters(), voters, 'a stop is only a stop');
    await stop(three.node('n2'));
    const namesN2 = ({ event, fields }: LogLine): boolean => event === 'waiting' && /n2/.test(String(fields['msg']));
    await three.node('n1').waitFor('waiting for a quorum', namesN2, 60_000);
    await stop(three.node('n1'));
    for (const id of IDS) three.start(id);
    assert.equal((await three.settle()).clusterId, clusterId);
    assert.deepEqual(await three.voters(), voters);
  });
});
