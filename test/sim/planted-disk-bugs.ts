/** Bugs of the storage that whole nodes on disks of files must notice; `test/storage/storage-bugs.ts` says what is broken. */
import { present } from '../../src/base/assert.ts';
import { STORAGE_BUGS } from '../storage/storage-bugs.ts';
import type { FaultFamily } from './options.ts';
import type { PlantedBug } from './planted-bugs.ts';

const CRASHES: readonly FaultFamily[] = ['kill', 'powerOff', 'powerCut', 'failedWrite'];

function onDisks(bug: string, foundBy: RegExp, faults: readonly FaultFamily[] = CRASHES): PlantedBug {
  const [name, , change] = present(
    STORAGE_BUGS.find(([known]) => known.startsWith(bug)),
    bug,
  );
  const overrides = { hasFiles: true, hasEtcd: false, voters: 5, votersWanted: 5, faults, faultEveryMs: 500 };
  return { name, by: 'node', ...change, foundBy, seeds: 150, overrides };
}

export const DISK_BUGS: readonly PlantedBug[] = [
  onDisks('a batch is acknowledged before', /I-25|I-26/),
  onDisks('P-53', /I-25|I-26/, ['failedWrite', 'powerOff']),
  onDisks('P-54', /I-25|I-26/),
  onDisks('the name of a new segment', /I-25|I-26/, ['powerOff']),
  onDisks('damage in the middle', /I-25/, ['rot', 'kill']),
  onDisks('the name of a snapshot', /I-25|I-26/),
  onDisks('a snapshot has its name', /I-25|I-26/),
  onDisks('segments go before', /I-25|I-26/),
  onDisks('P-18', /no entry is of a later term/),
];
