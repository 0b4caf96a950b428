/**
 * What stays when nodes stop: all of them in order, all at once, all killed; at another address; with lost or damaged data. as
 * docs/operating.md has them: raft.md 14; reliability.md N-4, N-11, N-12, N-17.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { StorageError, walDump } from '../../src/offline.ts';
import { batchSize } from '../../src/wire/raft/batch.ts';
import { until } from '../peers/peer.ts';
import {
  distribution,
  freshClusterName,
  IS_LONG,
  type LogLine,
  type NodeProcess,
  Scratch,
  settled,
} from './node-process.ts';
import { funkctl, funkctlAgain, funknode, funknodeAgain, kill } from './program-runs.ts';

/** Of a cluster cut off from power. */
const CUTS: number = IS_LONG ? 30 : 1;
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

/** What a bad disk makes of some bytes. */
function damage(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.from('damage'), 0, 6, at);
  closeSync(fd);
}

/** A part of what was being written when the power went, and had been acknowledged to nobody: its header never came to the platter. */
function tearLastWrite(folder: string): void {
  const segment = walDump(folder).segments.at(-1);
  const last = segment?.batches.at(-1);
  assert.ok(segment !== undefined && last !== undefined);
  const fd = openSync(segment.file, 'r+');
  const end = last.offset + batchSize(last.header.payloadSize);
  writeSync(fd, Buffer.alloc(512, 0xa5), 0, 512, end + 512);
  closeSync(fd);
  assert.ok(!(walDump(folder).verdict instanceof StorageError), 'it is no damage');
}

async function mapVersion(node: NodeProcess): Promise<number> {
  const { map } = await (await node.client()).shardMap();
  return Number(map?.version ?? 0);
}

/** Each case leaves the cluster as the next one needs it: settled, of three voters. */
describe('three voters with their data', () => {
  let three: Three;
  let clusterId: string;
  let voters: readonly string[];

  before(async () => {
    // One death follows the other here, and each time the node is to have its share back.
    three = new Three(['--zeroconf', '--flap-hold=0ms']);
    clusterId = (await three.settle()).clusterId;
    voters = await three.voters();
  });

  after(() => three[Symbol.asyncDispose]());

  async function isAsBefore(): Promise<void> {
    assert.equal((await three.settle()).clusterId, clusterId);
    assert.deepEqual(await three.voters(), voters);
  }

  /** The third of them is a member that was not there before, under the name that it has always had. */
  async function thirdIsNew(): Promise<void> {
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
    voters = await three.voters();
  }

  it('are the same cluster of the same nodes after an orderly stop one by one', async () => {
    for (const node of three.all) await stop(node);
    for (const id of IDS) three.start(id);
    await isAsBefore();
  });

  it('R-8: are the same cluster of the same nodes after a power cut that takes all at once, also when the last write of one is torn, and nobody has to do anything', async (t) => {
    const readyMs: number[] = [];
    for (let cut = 0; cut < CUTS; cut++) {
      // Something is on its way to the disks all the time.
      const client = await three.node('n1').client();
      for (let i = 0; i < 3; i++) await client.stepDown().catch(() => undefined);
      const version = await mapVersion(three.node('n1'));
      await Promise.all(three.all.map(kill));
      tearLastWrite(three.dataDir(IDS[cut % 3] as string));
      const at = performance.now();
      for (const id of IDS) three.start(id);
      await isAsBefore();
      readyMs.push(performance.now() - at);
      assert.ok((await mapVersion(three.node('n2'))) >= version, 'what was agreed is there');
    }
    t.diagnostic(`R-8: from the start of three processes to one settled cluster: ${distribution(readyMs)}`);
  });

  it('start from a log whose last record is torn', async () => {
    await kill(three.node('n3'));
    const segment = newestSegment(three.dataDir('n3'));
    truncateSync(segment, writtenSize(segment) - 3);
    three.start('n3');
    await isAsBefore();
  });

  it('R-1, R-2: refuse to start when data is lost or damaged as long as a part is there, and leave it as it is; set aside, they return as a new member', async () => {
    await kill(three.node('n3'));
    const folder = three.dataDir('n3');
    const segment = newestSegment(folder);
    const refusal = async (words: RegExp): Promise<string> => {
      const before = existsSync(segment) ? readFileSync(segment) : undefined;
      const refused = three.start('n3');
      assert.deepEqual(await refused.ended, { code: 65, signal: null }, refused.output);
      assert.match(refused.output, words);
      assert.deepEqual(existsSync(segment) ? readFileSync(segment) : undefined, before);
      return refused.output;
    };
    const [log, gone] = [join(folder, 'wal'), join(folder, 'gone')];
    renameSync(log, gone);
    for (let time = 0; time < 2; time++) await refusal(/holds neither log nor snapshot.*funknode recover rejoin/);
    renameSync(gone, log);

    flipByte(segment, Math.floor(writtenSize(segment) / 2));
    assert.ok((await refusal(/is damaged at (?:offset|byte) \d+: .*The data was left where it is/)).includes(segment));
    damage(segment, 4096 + 64);
    assert.ok((await refusal(/is damaged at byte 4096: .*The data was left where it is/)).includes(segment));
    const verified = await funknode('wal', 'verify', folder);
    assert.deepEqual([verified.code, /damaged at byte 4096/.test(verified.stderr)], [65, true]);
    await settled(IDS.slice(0, 2).map((id) => three.node(id)));
    assert.match((await funkctl(three.node('n1'), 'status')).stdout, /State: +Operational/);

    assert.equal((await funknodeAgain('recover', 'rejoin', folder)).code, 2, 'not without --yes');
    assert.ok(existsSync(log));
    const done = await funknode('recover', 'rejoin', folder, '--yes');
    assert.equal(done.code, 0, done.stderr);
    assert.ok(!existsSync(log));
    three.start('n3');
    await thirdIsNew();
    assert.equal(readdirSync(join(folder, 'quarantine')).length, 1, 'nothing was deleted');
    const empty = await funknodeAgain('recover', 'inspect', join(three.scratch.folder, 'nobody'));
    assert.deepEqual([empty.code, /holds no node/.test(empty.stderr)], [1, true]);
  });

  it('R-1: take a node that lost its disk as a new member under its name', async () => {
    await kill(three.node('n3'));
    rmSync(three.dataDir('n3'), { recursive: true });
    three.start('n3');
    await thirdIsNew();
  });

  it('are taken back at another address and other ports: one of them, then all after they have stopped at once', async () => {
    const serf = await three.node('n1').endpoint('ep.serf');
    const was = await three.node('n3').endpoint('ep.raft');
    await kill(three.node('n3'));
    three.start('n3', ['--zeroconf=false', '--join', serf], '127.0.0.2');
    await isAsBefore();
    const is = await three.node('n3').endpoint('ep.raft');
    assert.match(is, /^127\.0\.0\.2:/);
    assert.notEqual(is, was);

    await Promise.all(three.all.map(stop));
    const join = ['--zeroconf=false', '--join', '127.0.0.3:17946,127.0.0.4:17946,127.0.0.5:17946'];
    for (const [at, id] of IDS.entries())
      three.start(id, [...join, `--serf-endpoint=127.0.0.${3 + at}:17946`], `127.0.0.${3 + at}`);
    await isAsBefore();
  });

  it('R-3: take one of another name in place of a machine that never comes back, as soon as that is removed', async () => {
    const [n1, n2] = [three.node('n1'), three.node('n2')];
    await kill(three.node('n3'));
    rmSync(three.dataDir('n3'), { recursive: true });
    const n4 = three.start('n4', ['--zeroconf=false', '--join', await n1.endpoint('ep.serf')]);
    const removed = await funkctl(n1, 'node', 'rm', 'n3');
    assert.equal(removed.code, 0, removed.stderr);
    assert.equal((await settled([n1, n2, n4], { voters: 3 })).clusterId, clusterId);
    assert.match((await funkctlAgain(n1, 'status')).stdout, /Voters: +3: the loss of 1 can be survived/);
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
