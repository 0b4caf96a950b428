/** What seeds draw: of every hundred, at least ten have each of what must not be missed for long (reliability.md 6). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { drawOptions, type FaultFamily, type SimulationOptions } from './options.ts';

const HUNDREDS = 10;
const LEAST = 10;

const hasOne =
  (...families: readonly FaultFamily[]) =>
  ({ faults }: SimulationOptions): boolean =>
    families.some((family) => faults.includes(family));

const STRATA: Readonly<Record<string, (options: SimulationOptions) => boolean>> = {
  'changes of members': (options) => hasOne('churn')(options) && !options.hasEtcd && options.voters >= 2,
  'orderly stops': hasOne('leave'),
  pauses: hasOne('pause', 'midTurnPause', 'suspend'),
  'disks that fail, fill up or are lost': hasOne('failedWrite', 'fullDisk', 'freshDisk'),
  'a single voter': ({ voters }) => voters === 1,
  'two voters': ({ voters }) => voters === 2,
  'snapshots all the time': ({ snapshots, seed }) => snapshots !== undefined || seed % 2 === 0,
  'ways that carry in one direction': hasOne('oneWay'),
};

describe('of every hundred seeds, at least ten have', () => {
  for (const [name, isOne] of Object.entries(STRATA))
    it(name, (t) => {
      const counts = Array.from({ length: HUNDREDS }, (_, hundred) =>
        Array.from({ length: 100 }, (__, i) => drawOptions(100 * hundred + i + 1)).reduce(
          (count, options) => count + (isOne(options) ? 1 : 0),
          0,
        ),
      );
      t.diagnostic(counts.join(' '));
      assert.ok(Math.min(...counts) >= LEAST, `the fewest are ${Math.min(...counts)}`);
    });
});
