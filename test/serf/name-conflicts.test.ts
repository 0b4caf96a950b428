/** Whose claim to a name counts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { serfConfig } from '../../src/serf/config.ts';
import type { SerfEvent } from '../../src/serf/messages.ts';
import { NameConflicts } from '../../src/serf/name-conflicts.ts';

const OURS = Uint8Array.of(1);
const FOREIGN = Uint8Array.of(2);
const THEIRS = { host: '10.0.0.2', port: 7946 };

function conflicts(): { readonly conflicts: NameConflicts; readonly told: SerfEvent[]; asked: number } {
  const told: SerfEvent[] = [];
  const host = {
    config: serfConfig({ swim: { name: 'n1', advertise: { host: '10.0.0.1', port: 7946 } } }),
    isForeign: (meta: Uint8Array) => meta === FOREIGN,
    notify: (event: SerfEvent) => void told.push(event),
    ask: () => {
      result.asked += 1;
      return undefined;
    },
  };
  const result = { conflicts: new NameConflicts(host as never), told, asked: 0 };
  return result;
}

function claimed(meta: Uint8Array): Parameters<NameConflicts['onConflict']>[0] {
  const held = { name: 'n1', address: { host: '10.0.0.1', port: 7946 } };
  return { kind: 'nameConflict', held, theirs: THEIRS, meta } as unknown as Parameters<NameConflicts['onConflict']>[0];
}

describe('two processes of one name', () => {
  it('do not mind each other when they are of two clusters', () => {
    const rig = conflicts();
    rig.conflicts.onJoin(0);
    rig.conflicts.onConflict(claimed(FOREIGN), 1_000);
    rig.conflicts.onTaken(THEIRS, 1_100);
    assert.deepEqual([rig.told, rig.asked], [[], 0]);
  });

  it('are put to the vote when they are of one, also at an address where a stranger was', () => {
    const rig = conflicts();
    rig.conflicts.onJoin(0);
    rig.conflicts.onConflict(claimed(FOREIGN), 1_000);
    rig.conflicts.onConflict(claimed(OURS), 2_000);
    rig.conflicts.onTaken(THEIRS, 2_100);
    assert.deepEqual(
      rig.told.map(({ kind }) => kind),
      ['nameConflict'],
    );
    assert.equal(rig.asked, 1);
  });
});
