import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { bannerText } from '../../cmd/funknode/banner.ts';
import { exitCodeOf } from '../../cmd/funknode/exit-codes.ts';
import type { Log } from '../../cmd/funknode/logging.ts';
import { lineOf, type Narrated, Narrator, sharesOf } from '../../cmd/funknode/narrator.ts';
import { listenForStop } from '../../cmd/funknode/signals.ts';
import type { LogIndex, NodeId, ShardId, Term } from '../../src/model/ids.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import type { NodeView, Waiting } from '../../src/model/node-view.ts';
import type { ShardMap } from '../../src/model/shard-map.ts';
import { ConfigError, resolveNodeConfig } from '../../src/node-config.ts';

class Lines implements Log {
  readonly isText = true;
  readonly lines: string[] = [];

  say(level: string, event: string, text: string): void {
    this.lines.push(`${level} ${event} ${text}`);
  }

  log(): void {
    throw new Error('the narrator speaks in words');
  }

  child(): Log {
    return this;
  }

  nameNode(): void {
    throw new Error('the narrator names nobody');
  }
}

class Told implements Narrated {
  waiting: Waiting | undefined;
  nowMs = 5_000;
  #listener: ((event: NodeEvent) => void) | undefined;

  view(): NodeView {
    return { waiting: this.waiting } as NodeView;
  }

  now(): number {
    return this.nowMs;
  }

  subscribe(listener: (event: NodeEvent) => void): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = undefined;
    };
  }

  emit(event: NodeEvent): void {
    this.#listener?.(event);
  }

  get isHeard(): boolean {
    return this.#listener !== undefined;
  }
}

function mapOf(owners: readonly string[], shares: readonly number[]): ShardMap {
  return {
    version: 12 as LogIndex,
    committedAt: 13 as LogIndex,
    shardCount: shares.reduce((sum, share) => sum + share, 0),
    owners: owners.map((node) => ({ node: node as NodeId, boot: 1 as never, workerId: 2 })),
    ownerOf: Uint16Array.from(shares.flatMap((share, owner) => new Array<number>(share).fill(owner))),
    epochs: new Float64Array(0),
  };
}

describe('what a node tells', () => {
  it('is a line per change of state, role, leader and map, after the banner', () => {
    const node = new Told();
    const log = new Lines();
    const narrator = new Narrator(node, log);
    narrator.start();
    node.emit({ kind: 'stateChanged', from: 'Starting', to: 'Joining' });
    assert.deepEqual(log.lines, [], 'the banner comes first');
    narrator.tell();
    node.emit({ kind: 'leaderChanged', leader: 'n1' as NodeId, term: 3 as Term });
    node.emit({ kind: 'shardMapChanged', map: mapOf(['n1', 'n2'], [5, 4]) });
    node.emit({ kind: 'shardMapProposed', version: 9 as LogIndex });
    narrator[Symbol.dispose]();
    assert.deepEqual(log.lines, [
      'info stateChanged state Joining (was Starting)',
      'info leaderChanged leader n1 in term 3',
      'info shardMapChanged map 12: n1 5, n2 4 of 9 shards',
      'debug shardMapProposed map 9 proposed',
    ]);
    assert.equal(node.isHeard, false);
  });

  it('is more for whoever asks for details, in numbers where there are lists', () => {
    const node = new Told();
    const log = new Lines();
    using narrator = new Narrator(node, log);
    narrator.start();
    narrator.tell();
    const shards = [1, 2, 3] as unknown as ShardId[];
    const endpoint = { host: '10.0.0.1', port: 80 };
    node.emit({ kind: 'endpointChanged', change: 'added', node: 'n2', name: 'ep.shop', endpoint });
    node.emit({ kind: 'shardsReleasing', shards, epochs: [], to: [], version: 9 as LogIndex, deadline: 1 });
    node.emit({ kind: 'shardsStarted', shards, epoch: 10 as LogIndex, from: [], isResumed: false });
    node.emit({ kind: 'userEvent', lamportTime: 4, name: 'deploy', payload: new Uint8Array(2), coalesce: true });
    node.emit({ kind: 'queryAck', query: 1, from: 'n2' });
    assert.deepEqual(log.lines, [
      'debug endpointChanged ep.shop of n2 added: 10.0.0.1:80',
      'debug shardsReleasing lets go of 3 shards for map 9',
      'debug shardsStarted serves 3 more shards, token 10',
      'debug userEvent user event deploy, 2 bytes',
    ]);
  });

  it('says at once whom it waits for, since when and what can be done, and not again until that changes', () => {
    const node = new Told();
    const log = new Lines();
    using narrator = new Narrator(node, log);
    narrator.start();
    narrator.tell();
    node.waiting = { reason: 'quorum', nodes: ['n2', 'n3'] as NodeId[], since: 2_000, advice: 'start one of them' };
    node.emit({ kind: 'waiting', text: 'x' });
    node.emit({ kind: 'waiting', text: 'x' });
    assert.deepEqual(log.lines, ['info waiting waiting for a quorum of voters: n2, n3 (3 s); start one of them']);
    node.waiting = { reason: 'leader', nodes: [], since: 2_000, advice: 'wait' };
    node.emit({ kind: 'waiting', text: 'x' });
    assert.equal(log.lines.length, 1, 'an election is no news before it lasts');
  });

  it('counts what was dropped instead of repeating it', () => {
    const node = new Told();
    const log = new Lines();
    using narrator = new Narrator(node, log);
    narrator.start();
    narrator.tell();
    for (let i = 0; i < 50; i++) node.emit({ kind: 'dropped', where: 'gossip', reason: 'checksum' });
    assert.deepEqual(log.lines, ['warn dropped dropped from gossip: checksum']);
  });

  it('takes the loss of the lease lightly once it was asked to stop', () => {
    const node = new Told();
    const log = new Lines();
    using narrator = new Narrator(node, log);
    narrator.start();
    narrator.tell();
    node.emit({ kind: 'leaseLost' });
    narrator.isStopping = true;
    node.emit({ kind: 'leaseLost' });
    assert.deepEqual(
      log.lines.map((line) => line.split(' ')[0]),
      ['warn', 'info'],
    );
  });

  it('stays short for a large cluster, and loud for a foreign one', () => {
    const many = Array.from({ length: 50 }, (_, i) => `n${i}`);
    assert.match(sharesOf(mapOf(many, new Array(50).fill(2))), /^n0 2, .*n7 2, 42 more of 100 shards$/);
    const conflict = lineOf({ kind: 'clusterConflict', ours: 'a', theirs: 'b', node: 'n9' } as unknown as NodeEvent);
    assert.equal(conflict?.level, 'error');
    assert.equal(lineOf({ kind: 'stopped', reason: 'disk', exitCode: 74 })?.level, 'error');
  });
});

describe('the banner', () => {
  it('shows who the node is, where it listens, where its data is, and what to try', () => {
    const config = resolveNodeConfig({ interface: '127.0.0.1' });
    const endpoints = new Map([
      ['ep.serf', { host: '127.0.0.1', port: 7946 }],
      ['ep.clusterfunk.management', { host: '127.0.0.1', port: 7948 }],
      ['ep.http', { host: '127.0.0.1', port: 7950 }],
    ]);
    const view = { id: 'n1' as NodeId, kind: 'voter', clusterName: 'shop', endpoints } as const;
    const text = bannerText({ version: '1.2.3', config, view, dataDir: undefined });
    for (const part of ['funknode 1.2.3', 'n1 (voter)', 'shop', '127.0.0.1 (lo)', '127.0.0.1:7946', 'in memory']) {
      assert.ok(text.includes(part), part);
    }
    assert.match(text, /npx funkctl status --endpoint 127\.0\.0\.1:7948\n/);
    assert.match(text, /http:\/\/127\.0\.0\.1:7950\/metrics/);
  });
});

describe('signals', () => {
  it('ask for an orderly stop first; within a second they are one; later they end the process with 128 + n', async () => {
    const source = new EventEmitter();
    const codes: number[] = [];
    let now = 0;
    const asked = listenForStop(
      source as never,
      () => now,
      (code) => codes.push(code),
    );
    source.emit('SIGINT');
    now = 1;
    source.emit('SIGINT');
    now = 999;
    source.emit('SIGTERM');
    assert.deepEqual(codes, []);
    assert.equal(await asked, 'SIGINT');
    now = 1000;
    source.emit('SIGINT');
    source.emit('SIGTERM');
    assert.deepEqual(codes, [130, 143]);
  });
});

describe('exit codes', () => {
  it('come from the error itself, from its cause, or from what the system said', () => {
    const error = (code: string): Error => Object.assign(new Error(code), { code });
    assert.equal(exitCodeOf(new ConfigError(['x'])), 78);
    assert.equal(exitCodeOf(error('EADDRINUSE')), 78);
    assert.equal(exitCodeOf(new Error('x', { cause: Object.assign(new Error('y'), { exitCode: 65 }) })), 65);
    assert.equal(exitCodeOf(new Error('x')), 70);
    assert.equal(exitCodeOf('x'), 70);
  });
});
