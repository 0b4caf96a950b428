/** What a turn tells of maps and configurations that came and went within it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import type { NodeId } from '../../src/model/ids.ts';
import { withoutPassedThrough } from '../../src/runtime/turn-events.ts';

function voters(...ids: string[]): ClusterEffect {
  return { kind: 'notify', event: { kind: 'configurationChanged', voters: ids as NodeId[], learners: [] } };
}

const GAINED: ClusterEffect = { kind: 'notify', event: { kind: 'leaseGained' } };
const LOST: ClusterEffect = { kind: 'notify', event: { kind: 'leaseLost' } };

describe('the events of one turn', () => {
  it('hold the last configuration only, in its place among the others', () => {
    const last = voters('b');
    assert.deepEqual(withoutPassedThrough([voters('a'), GAINED, voters('a', 'b'), last, LOST]), [GAINED, last, LOST]);
  });

  it('hold every other event, also when it comes twice', () => {
    const effects = [GAINED, LOST, GAINED, LOST];
    assert.deepEqual(withoutPassedThrough(effects), effects);
  });
});
