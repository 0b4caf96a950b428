/** What the log gives to the thread that writes is its own to give. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SnapshotMeta } from '../../src/model/log.ts';
import { DiskLog, type LogLink } from '../../src/runtime/disk-log.ts';
import type { LogReply, LogRequest } from '../../src/runtime/disk-log-messages.ts';

/** Keeps what is posted, and answers with success. */
class KeptLink implements LogLink {
  readonly posted: { readonly request: LogRequest; readonly transfer: readonly ArrayBuffer[] }[] = [];
  #listener: (reply: LogReply) => void = () => undefined;

  post(request: LogRequest, transfer: readonly ArrayBuffer[]): void {
    this.posted.push({ request, transfer });
    this.#listener({ kind: 'done', ids: [request.id] } as unknown as LogReply);
  }

  onReply(listener: (reply: LogReply) => void): void {
    this.#listener = listener;
    listener({ kind: 'opened', recovered: {} } as unknown as LogReply);
  }

  onGone(): void {
    // Never.
  }

  async end(): Promise<void> {
    // Nothing is open.
  }
}

describe('the log’s thread', () => {
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
