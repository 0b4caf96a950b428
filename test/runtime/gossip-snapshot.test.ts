/** Serf's snapshot file: read as real agents write it, written as they read it, whole after any crash. wire-gossip.md 19.1. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Member } from '../../src/model/member.ts';
import { GossipSnapshot } from '../../src/runtime/gossip-snapshot.ts';
import { readSnapshot, snapshotLine, wholeSnapshot } from '../../src/wire/serf/snapshot-file.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';
import { tellVectors, vectors } from '../vectors.ts';

const { file: captured } = vectors<{ readonly file: string }>('snapshot.json');
const keep = { rejoinsAfterLeave: true };
const forget = { rejoinsAfterLeave: false };

function names(text: string, options = keep): string[] {
  return [...readSnapshot(text, options).members.keys()];
}

function member(name: string, port = 7946): Member {
  return {
    name,
    address: { host: '127.0.0.1', port },
    status: 'alive',
    tags: new Map(),
    tagsComplete: true,
    versions: [],
  };
}

describe('a snapshot file', () => {
  it('of a real agent is read: who was there, which times were seen, and that it left', (t) => {
    tellVectors(t, 'snapshot', `1 file of ${captured.split('\n').length - 1} lines read`);
    assert.deepEqual(readSnapshot(captured, keep), {
      members: new Map([['n1', { host: '127.0.0.1', port: 7946 }]]),
      times: { member: 7, event: 3, query: 5 },
      skipped: 0,
    });
    const gone = readSnapshot(captured, forget);
    assert.deepEqual([gone.members.size, gone.times], [0, { member: 7, event: 0, query: 0 }]);
  });

  it('does without a torn last line, and without lines that it does not understand', () => {
    const text = 'alive: a 10.0.0.1:1\nalive: b c [::1]:2\nwhat is this\nclock: x\n# no matter\nalive: d 10.0.0.3:';
    assert.deepEqual(names(text), ['a', 'b c']);
    assert.equal(readSnapshot(text, keep).skipped, 2);
  });

  it('cut anywhere, or with any bytes in it, is read without a fault and remembers nobody who was never there', () => {
    for (let at = 0; at <= captured.length; at++)
      for (const name of names(captured.slice(0, at))) assert.match(name, /^n[123]$/);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { members, times } = readSnapshot(text, keep);
        assert.ok(members.size <= text.length && times.member >= 0);
      }),
    );
  });

  it('rewritten says the same in fewer lines', () => {
    const { members, times } = readSnapshot(captured, keep);
    const text = wholeSnapshot(members, times);
    assert.deepEqual(readSnapshot(text, keep), { members, times, skipped: 0 });
    assert.ok(text.length < captured.length);
  });
});

describe('the snapshot of a running node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'funknode-snapshot-'));
  after(() => rmSync(folder, { recursive: true }));

  async function opened(name: string, rejoinsAfterLeave = false): Promise<GossipSnapshot> {
    const onWarning = (text: string): never => assert.fail(text);
    return await GossipSnapshot.open({ path: join(folder, name), rejoinsAfterLeave, onWarning });
  }

  it('follows members and times, and is taken up where it ended', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const snapshot = await opened('plain');
    snapshot.follow(handle);
    for (const name of ['n1', 'n2', 'n3']) handle.emit({ kind: 'memberJoined', member: member(name) });
    handle.emit({ kind: 'memberUpdated', member: member('n3', 9000) });
    handle.emit({ kind: 'memberUpdated', member: member('n3', 9000) });
    handle.emit({ kind: 'memberFailed', member: member('n2') });
    const payload = new Uint8Array(0);
    handle.emit({ kind: 'userEvent', name: 'x', lamportTime: 4, payload, coalesce: false });
    handle.emit({ kind: 'userEvent', name: 'x', lamportTime: 3, payload, coalesce: false });
    await snapshot.close();
    const text = readFileSync(join(folder, 'plain'), 'utf8');
    assert.equal(
      text,
      'alive: n1 127.0.0.1:7946\nalive: n2 127.0.0.1:7946\nalive: n3 127.0.0.1:7946\nalive: n3 127.0.0.1:9000\nnot-alive: n2\nevent-clock: 4\n',
    );
    const again = await opened('plain');
    assert.deepEqual(again.othersThan('n1'), [{ host: '127.0.0.1', port: 9000 }]);
    assert.equal(again.before.times.event, 4);
    await again.close();
  });

  it('forgets everybody at an orderly leave, unless it is told to rejoin', async () => {
    for (const rejoins of [false, true]) {
      const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
      const snapshot = await opened(`leave-${rejoins}`, rejoins);
      snapshot.follow(handle);
      handle.emit({ kind: 'memberJoined', member: member('n2') });
      handle.emit({ kind: 'memberLeft', member: member('n1') });
      handle.emit({ kind: 'memberFailed', member: member('n2') });
      await snapshot.close();
      const again = await opened(`leave-${rejoins}`, rejoins);
      assert.equal(again.othersThan('n1').length, rejoins ? 1 : 0);
      await again.close();
    }
  });

  it('goes on behind a torn line, and is rewritten when it has grown', async () => {
    const path = join(folder, 'torn');
    writeFileSync(path, `${'alive: n2 127.0.0.1:1\nnot-alive: n2\n'.repeat(4_000)}alive: n9 127.0.`);
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const snapshot = await opened('torn');
    snapshot.follow(handle);
    handle.emit({ kind: 'memberJoined', member: member('n3') });
    await snapshot.close();
    const text = readFileSync(path, 'utf8');
    assert.equal(text, wholeSnapshot(new Map([['n3', member('n3').address]]), { member: 0, event: 0, query: 0 }));
    assert.equal(snapshotLine({ kind: 'leave' }), 'leave\n');
  });
});
