/**
 * Bugs of the storage that the power cuts and the damage of this folder must find (reliability.md 9): the built code is copied, one rule is
 * broken in the copy, and the tests run there.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { failuresOf } from '../sim/planted-tests.ts';
import { isPlantedNow } from '../sim/seeds-for.ts';
import { breakRule, copyBuilt, removePlanted } from '../sim/planting.ts';
import { STORAGE_BUGS } from './storage-bugs.ts';

const TESTS: readonly string[] = ['storage/disk-log-crash', 'storage/disk-log-damage'];

describe('storage: planted bugs', () => {
  let folder = '';
  before(() => {
    folder = copyBuilt(['src', 'test/storage']);
  });
  after(removePlanted);

  for (const [name, pattern, change] of STORAGE_BUGS.filter((_, place) => isPlantedNow(place))) {
    it(`is found: ${name}`, async (t) => {
      const mend = breakRule(folder, change);
      const failed = await failuresOf(folder, TESTS, pattern);
      mend();
      assert.notDeepEqual(failed, [], 'some test fails');
      t.diagnostic(`by: ${failed[0]}`);
    });
  }
});
