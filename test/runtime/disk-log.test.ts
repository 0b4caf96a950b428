/** What the log gives to the thread that writes is its own to give. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Term } from '../../src/model/ids.ts';
import type { SnapshotMeta } from '../../src/model/log.ts';
import { DiskLog, type LogLink } from '../../src/runtime/disk-log.ts';
import type { LogReply, LogRequest } from '../../src/runtime/disk-log-messages.ts';

/** Keeps what is posted, and answers with success. */
class KeptLink implements LogLink {
  readonly posted: { readonly request: LogRequest; readonly transfer: readonly ArrayBuffer[] }[] = [];
  #listener: (reply: LogReply) => void = () => undefined;
  #onGone: (error: Error) => void = () => undefined;

  post(request: LogRequest, transfer: readonly ArrayBuffer[]): void {
    this.posted.push({ request, transfer });
    this.#listener({ kind: 'done', ids: [request.id] } as unknown as LogReply);
  }

  onReply(listener: (reply: LogReply) => void): void {
    this.#listener = listener;
    listener({ kind: 'opened', recovered: {} } as unknown as LogReply);
  }

  onGone(listener: (error: Error) => void): void {
    this.#onGone = listener;
  }

  say(reply: LogReply): void {
    this.#listener(reply);
  }

  async end(): Promise<void> {
    this.#onGone(new Error('the thread has ended'));
  }
}

describe('the log’s thread', () => {
  it('tells that it has failed, once, also when nobody waits for it; and not that it was ended', async () => {
    const [told, link] = [[] as string[], new KeptLink()];
    const log = await DiskLog.over(link, undefined);
    log.onFailure(({ message }) => told.push(message));
    link.say({ kind: 'failed', failure: { kind: 'disk', operation: 'sync', path: '/wal/1', errno: 'EIO' } });
    link.say({ kind: 'failed', failure: { kind: 'disk', operation: 'sync', path: '/wal/1', errno: 'EIO' } });
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /sync of \/wal\/1 failed: EIO/);
    await assert.rejects(log.persist({ batchSeq: 1, underTerm: 1 as Term }), /EIO/);
    log.onFailure(({ message }) => told.push(`late: ${message}`));
    assert.equal(told.length, 2, 'whoever comes later hears it at once');

    const ended = await DiskLog.over(new KeptLink(), undefined);
    ended.onFailure(({ message }) => told.push(message));
    await ended.close();
    assert.equal(told.length, 2);
  });

  it('is given snapshots in memory of their own, also when they came in a Buffer of Node’s pool', async () => {
    const link = new KeptLink();
    const log = await DiskLog.over(link, undefined);
    // A small Buffer is a part of a pool that no thread may be given: versions of Node from 21 on throw.
    const pooled = Buffer.from('the state of the cluster');
    assert.ok(pooled.buffer.byteLength > pooled.length);
    const meta = {} as SnapshotMeta;
    await log.installSnapshot(meta, pooled);
    await log.saveSnapshot(meta, pooled, 1);
    assert.equal(link.posted.length, 2);
    for (const { request, transfer } of link.posted) {
      assert.ok('bytes' in request);
      assert.deepEqual(transfer, [request.bytes.buffer]);
      assert.notEqual(request.bytes.buffer, pooled.buffer);
      assert.deepEqual([...request.bytes], [...pooled]);
      assert.equal(request.bytes.buffer.byteLength, pooled.length);
    }
  });
});
