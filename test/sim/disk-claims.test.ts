/** The judge of what a start finds after a crash, on trial. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterId, LogIndex, Stamp } from '../../src/model/ids.ts';
import type { Entry, SnapshotMeta } from '../../src/model/log.ts';
import { CONFIGURATION, entries, hardState } from '../storage/log-model.ts';
import { type DiskEffect, LogImage, type Operation } from './directory.ts';
import { isOneOf } from './disk-claims.ts';

const STAMP = '0123456789abcdef' as Stamp;
const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
const WHOLE = { mayFallBack: false };

let batchSeq = 0;

function persist(first: number, count: number, term: number, truncateFrom?: number): DiskEffect {
  batchSeq += 1;
  const batch = {
    batchSeq,
    underTerm: hardState(term).term,
    entries: entries(first, count, term),
    hardState: hardState(term),
  };
  return {
    kind: 'persist',
    batch: truncateFrom === undefined ? batch : { ...batch, truncateFrom: truncateFrom as LogIndex },
  };
}

function save(index: number, term: number, keepFrom: number): DiskEffect {
  const meta: SnapshotMeta = {
    clusterId: CLUSTER,
    lastLog: { index: index as LogIndex, term: hardState(term).term },
    configuration: CONFIGURATION,
    configurationIndex: 1 as LogIndex,
  };
  return { kind: 'saveSnapshot', meta, bytes: new Uint8Array([index]), keepFrom: keepFrom as LogIndex };
}

function after(...effects: readonly DiskEffect[]): LogImage {
  const image = new LogImage(STAMP);
  image.clusterId = CLUSTER;
  for (const effect of effects) image.apply(effect, STAMP);
  return image;
}

function asked(...effects: readonly DiskEffect[]): Operation[] {
  return effects.map((effect) => ({ effect, freshStamp: STAMP, done: () => undefined }));
}

describe('what a start may find', () => {
  const [one, two, three] = [persist(1, 3, 1), persist(4, 2, 1), persist(4, 1, 2, 4)];

  it('is what was acknowledged, with any beginning of what was under way', () => {
    const underWay = asked(two, three);
    for (const found of [after(one), after(one, two), after(one, two, three)])
      assert.ok(isOneOf(found, after(one), underWay, WHOLE));
  });

  it('is nothing less, nothing else, and nothing out of order', () => {
    assert.ok(!isOneOf(after(), after(one), [], WHOLE), 'an acknowledged batch is gone');
    assert.ok(!isOneOf(after(one), after(one, two), [], WHOLE), 'the last acknowledged batch is gone');
    assert.ok(!isOneOf(after(one, two), after(one), [], WHOLE), 'nobody asked for that');
    assert.ok(
      !isOneOf(after(one, three), after(one, two), asked(persist(6, 1, 2)), WHOLE),
      'not asked for in this order',
    );
    const altered = after(one);
    altered.entries[1] = entries(2, 1, 1, 21)[0] as Entry;
    assert.ok(!isOneOf(altered, after(one), [], WHOLE), 'an entry is another');
    const forgetful = after(one);
    forgetful.hardState = hardState(0);
    assert.ok(!isOneOf(forgetful, after(one), [], WHOLE), 'a term is forgotten');
    const stranger = Object.assign(after(one), { stamp: 'fedcba9876543210' as Stamp });
    assert.ok(!isOneOf(stranger, after(one), [], WHOLE), 'another member');
    const unbound = Object.assign(after(one), { clusterId: undefined });
    assert.ok(!isOneOf(unbound, after(one), [], WHOLE), 'its cluster is forgotten');
  });

  it('lets a snapshot be behind the writes that were asked for after it', () => {
    const cut = save(2, 1, 3);
    for (const found of [after(one, cut, two), after(one, two)])
      assert.ok(isOneOf(found, after(one), asked(cut, two), WHOLE));
  });

  it('goes back to an older snapshot after damage alone, with the entries above it', () => {
    const [first, second] = [save(1, 1, 2), save(3, 1, 2)];
    const [older, newer] = [after(one, first), after(one, first, second)];
    assert.ok(!isOneOf(older, newer, [], WHOLE));
    assert.ok(isOneOf(older, newer, [], { mayFallBack: true }));
    const short = after(one, first, second);
    short.snapshot = older.snapshot;
    short.entries = short.entries.slice(1);
    assert.ok(!isOneOf(short, newer, [], { mayFallBack: true }), 'entry 2 is nowhere');
  });
});
