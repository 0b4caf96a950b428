/** The loop around the core: what a turn does when something in it throws, and what is left after a stop. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cluster } from '../../src/cluster/cluster.ts';
import type { ClusterInput, ClusterOutcome } from '../../src/cluster/messages.ts';
import type { ClusterId, NodeId } from '../../src/model/ids.ts';
import { EMPTY_RECOVERED_LOG } from '../../src/model/log.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import { resolveNodeConfig } from '../../src/node-config.ts';
import { clusterConfigOf } from '../../src/node-config/cluster-config.ts';
import { openMemoryStorage } from '../../src/runtime/memory-log.ts';
import { NodeLoop, type Performer } from '../../src/runtime/node-loop.ts';
import { SystemClock } from '../../src/runtime/system-clock.ts';
import { SystemRandom } from '../../src/runtime/system-random.ts';

interface Rig {
  readonly loop: NodeLoop;
  readonly stops: { readonly reason: string; readonly exitCode: number }[];
  readonly performed: string[];
}

function rig(): Rig {
  const clock = new SystemClock();
  const identity = openMemoryStorage({ nodeId: 'a' as NodeId });
  const start = {
    startedAt: clock.monotonic(),
    startedWallMs: clock.wall(),
    hasReleaseHook: false,
    hasAcquireHook: false,
    startsLoading: false,
  };
  const gossip = { host: '127.0.0.1', port: 7946 };
  const config = clusterConfigOf(resolveNodeConfig({ bootstrap: true, inMemory: true }), identity, gossip, start);
  const cluster = new Cluster(config, EMPTY_RECOVERED_LOG, undefined, new SystemRandom());
  const stops: Rig['stops'] = [];
  const performed: string[] = [];
  const note = (effect: { readonly kind: string }): void => {
    performed.push(effect.kind);
  };
  const performer: Performer = {
    sendDatagram: note,
    stream: note,
    sendPeer: note,
    storage: note,
    rememberPeers: note,
    rememberCluster: note,
    saveKeyring: note,
    etcd: () => undefined,
    stop: (reason, exitCode) => {
      stops.push({ reason, exitCode });
      loop.stop(reason, exitCode);
    },
  };
  const loop = new NodeLoop(cluster, clock, performer);
  return { loop, stops, performed };
}

async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Nobody asked the disk for it: the core asserts that this cannot come. */
const IMPOSSIBLE: ClusterInput = { kind: 'identified', clusterId: 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId };
const START: ClusterInput = { kind: 'start', tags: new Map(), endpoints: new Map() };

describe('the loop around the core', () => {
  it('stops with 70 when a turn breaks an invariant, and answers who waits', async () => {
    const { loop, stops } = rig();
    const answers: ClusterOutcome[] = [];
    const events: NodeEvent[] = [];
    loop.subscribe((event) => events.push(event));
    loop.post(START);
    await turns();
    loop.post(IMPOSSIBLE);
    loop.request({ kind: 'drain' }, (outcome) => answers.push(outcome));
    await turns();
    assert.equal(stops.length, 1);
    assert.equal(stops[0]?.exitCode, 70);
    assert.match(stops[0]?.reason ?? '', /InvariantError/);
    assert.equal(loop.isStopped, true);
    assert.deepEqual(
      answers.map((outcome) => outcome.kind === 'refused' && outcome.code),
      ['STOPPED'],
    );
    assert.equal(events.at(-1)?.kind, 'stopped');
  });

  it('performs nothing of a turn after its stop', async () => {
    const { loop, stops, performed } = rig();
    loop.post(START);
    await turns();
    performed.length = 0;
    loop.post({ kind: 'persistFailed', reason: 'EIO' });
    loop.post({
      kind: 'request',
      requestId: 7 as never,
      request: { kind: 'join', addresses: [{ host: '127.0.0.1', port: 1 }] },
    });
    await turns();
    assert.equal(stops[0]?.exitCode, 74);
    assert.deepEqual(performed, []);
  });

  it('goes on when a subscriber throws, tells the others, and reports it as uncaught', async () => {
    const { loop, stops } = rig();
    const heard: NodeEvent[] = [];
    const unsubscribe = loop.subscribe(() => {
      throw new Error('the subscriber is broken');
    });
    loop.subscribe((event) => heard.push(event));
    const listeners = process.rawListeners('uncaughtException') as ((error: Error) => void)[];
    process.removeAllListeners('uncaughtException');
    const uncaught: string[] = [];
    const note = (error: Error): void => {
      uncaught.push(error.message);
    };
    process.on('uncaughtException', note);
    try {
      loop.post(START);
      await turns(6);
      unsubscribe();
    } finally {
      process.off('uncaughtException', note);
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    assert.ok(heard.length > 0);
    assert.equal(uncaught.length, heard.length);
    assert.equal(uncaught[0], 'the subscriber is broken');
    assert.deepEqual(stops, []);
    loop.stop('over', 0);
  });
});
