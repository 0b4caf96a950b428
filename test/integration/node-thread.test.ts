/** A node in a thread of its own does for its application what one in the application's thread does; and outlives what that would not. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { filter, firstValueFrom, take, toArray } from 'rxjs';
import {
  type AcquiredShard,
  ConfigError,
  FunkNode,
  type FunkNodeHooks,
  formatEndpoint,
  JoinFailedError,
  type NodeEvent,
  type NodeOptions,
  NodeThreadError,
  NotRunningError,
  RefusedError,
  resolveNodeConfig,
  type ShardId,
  StoppedError,
  TagsTooLargeError,
  UnknownNodeError,
} from '../../src/index.ts';
import { ThreadNode } from '../../src/thread-node.ts';

const PATIENCE_MS = 60_000;
let clusters = 0;

function options(more: NodeOptions = {}): NodeOptions {
  clusters += 1;
  const clusterName = `thread-${process.pid}-${clusters}`;
  return { clusterName, interface: '127.0.0.1', inMemory: true, nodeId: 'a', bootstrap: true, ...more };
}

async function operational(more: NodeOptions = {}, hooks: FunkNodeHooks = {}): Promise<FunkNode> {
  const node = new FunkNode(options(more), hooks);
  await node.start();
  await firstValueFrom(node.streams.states.pipe(filter((state) => state === 'Operational')));
  return node;
}

/** Polls, for what is seen from elsewhere has no event of its own here. */
async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!isTrue()) {
    if (performance.now() > deadline) assert.fail(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A busy application: nothing else happens in this thread. */
function blockFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

for (const thread of ['own', 'caller'] as const) {
  describe(`a node of which thread is '${thread}'`, { timeout: 4 * PATIENCE_MS }, () => {
    it('shows itself, takes calls, tells what happens, and closes', async () => {
      const node = await operational({ thread });
      const events: NodeEvent[] = [];
      const end = node.subscribe((event) => events.push(event));
      assert.deepEqual([node.id, node.state, node.role, node.leader], ['a', 'Operational', 'Leader', 'a']);
      assert.equal(node.shards.count, 10_000);
      assert.equal(node.shards.ownerOf(17), 'a');
      const epoch = node.view().shardMap?.epochs[17];
      assert.deepEqual(node.owns(17), { shard: 17, epoch });
      assert.equal(node.owns(10_000), undefined);
      assert.ok(Math.abs(node.now() - (node.view().members[0]?.lastHeard ?? node.now())) < PATIENCE_MS);

      await node.setTags({ zone: 'x' });
      assert.equal(node.members[0]?.tags.get('zone'), 'x');
      await node.setEndpoint('shop', { host: '127.0.0.1', port: 8080 });
      assert.deepEqual([...node.endpoints('shop')], [['a', { host: '127.0.0.1', port: 8080 }]]);
      const stats = node.handle.stats();
      assert.equal(stats.swim.membersAlive, 1);
      assert.equal(stats.sharding.shardsOwned, 10_000);
      assert.deepEqual(stats.swim.roundTrips.count, 0);
      assert.deepEqual(node.handle.confirmShardMap(node.id, 1), { success: false, currentIndex: 4 });
      const backup = await node.handle.backup();
      assert.deepEqual([backup.takenBy, backup.shardCount], ['a', 10_000]);

      await until('the tag and the endpoint are told', () => events.some(({ kind }) => kind === 'endpointChanged'));
      end();
      await node.stop();
      assert.deepEqual([node.state, node.owns(17), node.view().holdsLease], ['Stopping', undefined, false]);
      await assert.rejects(node.setTags({ zone: 'y' }), StoppedError);
      await node.stop();
    });

    it('refuses with the same errors', async () => {
      await using node = await operational({ thread });
      await assert.rejects(node.setTags({ big: 'x'.repeat(200_000) }), TagsTooLargeError);
      await assert.rejects(node.handle.addNode('nobody' as never), (error: UnknownNodeError) => {
        assert.ok(error instanceof UnknownNodeError);
        return error.code === 'FUNK_UNKNOWN_NODE' && error.node === 'nobody';
      });
      // Port 9 (discard) is nobody's on a machine without inetd.
      await assert.rejects(node.handle.join([{ host: '127.0.0.1', port: 9 }]), JoinFailedError);
      await assert.rejects(node.gossip.userEvent('big', 'x'.repeat(600)), RefusedError);
      const aborted = AbortSignal.abort(new Error('changed my mind'));
      await assert.rejects(node.handle.drain({ signal: aborted }), /changed my mind/);
      const controller = new AbortController();
      const slow = node.gossip.query('slow', '', { timeoutMs: 60_000, signal: controller.signal });
      const asked = slow.next();
      setImmediate(() => controller.abort(new Error('too slow')));
      await assert.rejects(asked, /too slow/);
    });

    it('says what could not be had, and leaves nothing open', async () => {
      await assert.rejects(new FunkNode(options({ thread, bootstrap: false })).start(), (error: ConfigError) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.problems[0] ?? '', /the data directory is empty/);
        return error.exitCode === 78;
      });
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const address = taken.address();
      assert.ok(typeof address === 'object' && address !== null);
      const node = new FunkNode(options({ thread, raftEndpoint: `127.0.0.1:${address.port}` }));
      await assert.rejects(node.start(), (error: Error & { code?: unknown; exitCode?: unknown; cause?: unknown }) => {
        assert.match(error.message, /raft-endpoint 127\.0\.0\.1:\d+: the port is taken/);
        assert.equal((error.cause as { code?: unknown }).code, 'EADDRINUSE');
        return error.code === 'FUNK_ENDPOINT_UNUSABLE' && error.exitCode === 78;
      });
      await node.stop();
      assert.equal(node.state, 'Invalid');
      taken.close();
    });

    it('stops while it still starts, and does not start again', async () => {
      const node = new FunkNode(options({ thread }));
      const started = node.start();
      await node.stop();
      await started.catch((error: unknown) => assert.ok(error instanceof NotRunningError, String(error)));
      const late = new FunkNode(options({ thread }));
      await late.stop();
      await assert.rejects(late.start(), NotRunningError);
    });

    it('keeps its data on disk, and its directory to itself', async () => {
      const dataDir = mkdtempSync(join(tmpdir(), 'funknode-thread-'));
      try {
        const node = await operational({ thread, inMemory: false, dataDir });
        assert.equal(node.dataDir, dataDir);
        const { clusterId, clusterName, stamp } = node.view();
        const second = new FunkNode(options({ thread, inMemory: false, dataDir, nodeId: 'a' }));
        await assert.rejects(second.start(), { code: 'FUNK_DIRECTORY_LOCKED' });
        await node.stop();
        const again = new FunkNode(options({ thread, inMemory: false, dataDir, clusterName }));
        await again.start();
        assert.deepEqual([again.view().clusterId, again.view().stamp], [clusterId, stamp]);
        await again.stop();
      } finally {
        rmSync(dataDir, { recursive: true });
      }
    });

    it('says that it broke when a turn fails, and closes', async () => {
      const node = await operational({ thread });
      const told: NodeEvent[] = [];
      node.subscribe((event) => told.push(event));
      // No caller can say this; the core stumbles over it as over any other mistake of ours.
      node.handle.discovered({ gossip: 1, searched: false } as never);
      await until('it has stopped', () => told.at(-1)?.kind === 'stopped');
      const last = told.at(-1);
      assert.ok(last?.kind === 'stopped' && last.exitCode === 70);
      assert.match(last.reason, /a turn of the node failed: TypeError/);
      assert.equal(node.owns(17), undefined);
      await node.stop();
      await assert.rejects(node.handle.drain(), StoppedError);
    });

    it('hands user events and queries on, and the answers back', async () => {
      await using node = await operational({ thread });
      const heard = firstValueFrom(node.streams.userEvents);
      const read = node.gossip.userEvents().next();
      const end = node.gossip.onQuery((query) => void query.respond(`${query.name} of ${query.source}`));
      await node.gossip.userEvent('deploy', 'v2');
      assert.equal(Buffer.from((await heard).payload).toString(), 'v2');
      assert.equal((await read).value?.name, 'deploy');
      const answers: string[] = [];
      const query = node.gossip.query('load', '', { timeoutMs: 500, wantsAck: true });
      for (;;) {
        const { done, value } = await query.next();
        if (done === true) {
          assert.deepEqual(value, { acks: 1, responses: 1 });
          break;
        }
        answers.push(value.kind === 'ack' ? 'ack' : Buffer.from(value.payload).toString());
      }
      assert.deepEqual(answers.sort(), ['ack', 'load of a']);
      end();
    });

    it('asks the application before it lets shards go, and waits for it', async () => {
      const asked: { readonly shards: number; readonly leftMs: number; readonly owned: boolean }[] = [];
      const lines: string[] = [];
      let release: () => void = () => undefined;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const a = await operational(
        { thread, ackTimeout: '30s' },
        {
          onRelease: async (shards: readonly ShardId[], deadlineMs) => {
            const owned = shards.some((shard) => a.owns(shard) !== undefined);
            asked.push({ shards: shards.length, leftMs: deadlineMs - a.now(), owned });
            await released;
          },
          logger: { log: (_level, event) => lines.push(event), child: (room) => roomLogger(lines, room) },
        },
      );
      const gossip = a.view().endpoints.get('ep.serf');
      assert.ok(gossip !== undefined);
      const { clusterName } = a;
      const b = new FunkNode(
        options({ thread, clusterName, nodeId: 'b', bootstrap: false, join: formatEndpoint(gossip) }),
      );
      await b.start();
      await until('a is asked', () => asked.length > 0);
      assert.deepEqual([asked[0]?.shards, asked[0]?.owned], [5_000, false]);
      const { leftMs } = asked[0] ?? { leftMs: 0 };
      assert.ok(leftMs > 1_000 && leftMs <= 24_000, `${leftMs} ms were left`);
      const mine = (node: FunkNode): number =>
        Array.from({ length: 10_000 }, (_, shard) => node.owns(shard)).filter((owned) => owned !== undefined).length;
      await until('a serves the rest', () => mine(a) === 5_000);
      assert.equal(mine(b), 0);
      release();
      await until('b serves the others', () => mine(b) === 5_000);
      await Promise.all([a.stop(), b.stop()]);
    });

    it('hands what one application gives to the next, and serves what that one has taken over', async () => {
      const given: string[] = [];
      const a = await operational(
        { thread, ackTimeout: '30s' },
        {
          onRelease: async (_shards, _deadlineMs, release) => {
            for (const { shard, epoch, to } of release.shards)
              release.handOver(shard, Buffer.from(`${shard} was served in ${epoch}, goes to ${to?.node}`));
            given.push(String(release.shards.length));
          },
        },
      );
      const gossip = a.view().endpoints.get('ep.serf');
      assert.ok(gossip !== undefined);
      const epoch = a.owns(17)?.epoch;
      const { clusterName } = a;
      const join = formatEndpoint(gossip);
      const taken = new Map<ShardId, AcquiredShard>();
      let ready: () => void = () => undefined;
      const loaded = new Promise<void>((resolve) => {
        ready = resolve;
      });
      const b = new FunkNode(options({ thread, clusterName, nodeId: 'b', bootstrap: false, join }), {
        onAcquire: async ({ shards, isResumed }) => {
          assert.equal(isResumed, false);
          for (const one of shards) taken.set(one.shard, one);
          await loaded;
        },
      });
      await b.start();
      await until('b has its half', () => taken.size === 5_000);
      assert.deepEqual(given, ['5000']);
      for (const { shard, from, state } of taken.values()) {
        assert.deepEqual([from?.node, from?.epoch], ['a', epoch]);
        assert.equal(Buffer.from(state ?? []).toString(), `${shard} was served in ${epoch}, goes to b`);
      }
      const first = [...taken.keys()][0] as ShardId;
      assert.deepEqual([a.owns(first), b.owns(first)], [undefined, undefined], 'nobody serves what b still loads');
      assert.equal(b.handle.stats().sharding.shardsLoading, 5_000);
      ready();
      await until('b serves its half', () => b.owns(first) !== undefined);
      await Promise.all([a.stop(), b.stop()]);
    });

    it('asks again when an application fails to take a shard over', async () => {
      let asked = 0;
      const node = await operational(
        { thread },
        {
          onAcquire: async () => {
            asked += 1;
            if (asked === 1) throw new Error('the store does not answer');
          },
        },
      );
      assert.equal(node.owns(17), undefined);
      await until('it is served', () => node.owns(17) !== undefined);
      assert.equal(asked, 2);
      await node.stop();
    });
  });
}

function roomLogger(lines: string[], room: string): NonNullable<FunkNodeHooks['logger']> {
  return {
    log: (_level, event) => lines.push(`${room} ${event}`),
    child: (more) => roomLogger(lines, `${room}/${more}`),
  };
}

describe('a node in a thread of its own', { timeout: 4 * PATIENCE_MS }, () => {
  it('is the default of the library', () => {
    assert.equal(resolveNodeConfig({}).thread, undefined);
    assert.throws(() => resolveNodeConfig({ thread: 'mine' as never }), /"mine" is not own or caller/);
  });

  it('holds its lease while the application is busy, and shows at once what has happened meanwhile', async () => {
    await using a = await operational({ lease: '900ms' });
    const epoch = a.owns(17)?.epoch;
    // A machine that is busy itself may take the lease of a node that is not; it seldom does so again and again.
    for (let attempt = 1; ; attempt++) {
      const before = a.handle.stats().loop.turns;
      const answers = new Set<number | undefined>();
      const end = performance.now() + 2_500;
      while (performance.now() < end) answers.add(a.owns(17)?.epoch);
      // Nothing was awaited: these are readings of this very moment.
      assert.ok(a.handle.stats().loop.turns > before);
      if ((answers.has(undefined) || !a.view().holdsLease) && attempt < 5) continue;
      assert.deepEqual([a.state, a.view().holdsLease], ['Operational', true]);
      assert.deepEqual([...answers], [epoch]);
      return;
    }
  });

  it('shows no state in a stream that its view has left behind', async () => {
    const node = new FunkNode(options());
    const states: string[] = [];
    await node.start();
    // The events of the founding wait in this thread until the block ends; the streams begin with the view of after it.
    const events: string[] = [];
    blockFor(1_000);
    const first = firstValueFrom(node.streams.states.pipe(take(1), toArray()));
    node.streams.states.subscribe((state) => states.push(state));
    node.streams.events.subscribe(({ kind }) => events.push(kind));
    await until('operational', () => states.includes('Operational'));
    assert.deepEqual(await first, states.slice(0, 1));
    assert.deepEqual(states, [...new Set(states)]);
    if (states[0] === 'Operational') assert.equal(events.includes('stateChanged'), false, events.join(' '));
    await node.stop();
  });

  it('does not release what a busy application may still work on', async () => {
    const a = await operational({ nodeId: 'a' });
    const gossip = a.view().endpoints.get('ep.serf');
    assert.ok(gossip !== undefined);
    const { clusterName } = a;
    // Another application, which is not busy.
    const join = formatEndpoint(gossip);
    const code = `
      import { FunkNode } from ${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)};
      const node = new FunkNode({ clusterName: '${clusterName}', interface: '127.0.0.1', inMemory: true, nodeId: 'b', join: '${join}' });
      await node.start();
      const mine = () => Array.from({ length: 10000 }, (_, shard) => shard).filter((shard) => node.owns(shard) !== undefined);
      while (mine().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      console.log(JSON.stringify({ at: node.now(), shard: mine()[0] }));
      process.stdin.once('data', async () => {
        await node.stop();
        process.exit();
      });
    `;
    const b = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    b.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
    });
    // From the first sign of b on this thread does nothing but ask. Were it to release, b would serve at once.
    await until('b is here', () => a.members.length === 2);
    let servedLast = 0;
    const shards = Array.from({ length: 10_000 }, (_, shard) => shard);
    let served = shards;
    const end = a.now() + 4_000;
    while (a.now() < end) {
      const now = shards.filter((shard) => a.owns(shard) !== undefined);
      if (now.length < served.length && served.length === 10_000) servedLast = a.now();
      served = now;
    }
    await until('b serves', () => out.includes('\n'));
    const { at, shard } = JSON.parse(out) as { at: number; shard: number };
    // Both read CLOCK_MONOTONIC of one machine.
    if (servedLast > 0) assert.ok(at > servedLast, `b served shard ${shard} at ${at}, a until ${servedLast}`);
    await until('they share', () => shards.filter((each) => a.owns(each) !== undefined).length === 5_000);
    b.stdin.write('stop\n');
    await once(b, 'exit');
    await a.stop();
  });

  it('lets the process end: after its stop, and when the application calls process.exit', async () => {
    const index = new URL('../../src/index.js', import.meta.url).href;
    const program = (ending: string): string => `
      import { FunkNode } from ${JSON.stringify(index)};
      const node = new FunkNode(${JSON.stringify(options())});
      await node.start();
      ${ending}
    `;
    for (const ending of ['await node.stop();', 'process.exit(0);']) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program(ending)], { stdio: 'inherit' });
      assert.deepEqual(await once(child, 'exit'), [0, null], ending);
    }
  });

  it('says that it is gone when its thread breaks, and serves nothing any more', async () => {
    const told: NodeEvent[] = [];
    const config = resolveNodeConfig(options());
    const body = new URL('./programs/breaking-node-worker.js', import.meta.url);
    const node = new ThreadNode(config, { onEvent: (event) => told.push(event) }, body);
    await node.start();
    const handle = node.handle;
    assert.ok(handle !== undefined);
    await until('it serves', () => handle.owns(17 as ShardId) !== undefined);
    const query = handle.gossip({
      kind: 'query',
      query: 1,
      parameters: { name: 'q', payload: new Uint8Array(), timeoutMs: 60_000 },
    });
    // The body breaks at the sight of this tag.
    handle.setTags(new Map([['break', 'now']])).catch((error: unknown) => assert.ok(error instanceof StoppedError));
    await assert.rejects(query, StoppedError);
    const last = told.at(-1);
    assert.ok(last?.kind === 'stopped' && last.exitCode === 70, JSON.stringify(last));
    assert.match(last.reason, /the thread of the node .* failed: broken as asked/);
    assert.deepEqual([handle.owns(17 as ShardId), handle.view().holdsLease], [undefined, false]);
    await node.stop();
  });

  it('names the module that a bundle has left out', async () => {
    const body = new URL('./nowhere/node-worker.js', import.meta.url);
    const node = new ThreadNode(resolveNodeConfig(options()), { onEvent: () => undefined }, body);
    await assert.rejects(node.start(), (error: NodeThreadError) => {
      assert.ok(error instanceof NodeThreadError);
      assert.match(error.message, /nowhere\/node-worker\.js.*leave the package funknode out of the bundle/);
      return error.exitCode === 70;
    });
    await node.stop();
    assert.ok(fileURLToPath(body).endsWith('node-worker.js'));
  });

  it('names the setting that cannot go to a thread', async () => {
    const config = { ...resolveNodeConfig(options()), tags: new Map([['odd', (() => 'x') as unknown as string]]) };
    const node = new FunkNode(config);
    await assert.rejects(node.start(), (error: ConfigError) => {
      assert.ok(error instanceof ConfigError);
      return /^tags: .*no plain data/.test(error.message);
    });
    await node.stop();
  });
});
