/**
 * Drives a log on the file system of the folder that is named, for so many random steps, and opens it anew every few of them: it must hold
 * what arrays hold. Prints how many steps and openings that was. Arguments: folder, steps, seed.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { present } from '../../../src/base/assert.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import type { LogIndex } from '../../../src/model/ids.ts';
import { SystemDisk } from '../../../src/runtime/system-disk.ts';
import { after, assertState, DrivenLog, EMPTY_STATE, entries, hardState, MEMBER, snapshotMeta } from '../log-model.ts';
import type { LogState, Operation } from '../log-model.ts';

const [folder = '', steps = '', seed = ''] = process.argv.slice(2);
const STEPS_PER_OPENING = 25;
const random = new SeededRandom(Number(seed));
const below = (bound: number): number => Math.floor(random.next() * bound);

for (const part of ['wal', 'snap', 'quarantine']) mkdirSync(join(folder, part));
let log = open();
let state = after(EMPTY_STATE, { kind: 'persist', batch: { hardState: hardState(1, MEMBER) } });
log.submit([{ kind: 'persist', batch: { hardState: hardState(1, MEMBER) } }]);
let openings = 0;
for (let step = 1; step <= Number(steps); step++) {
  const operation = nextOperation(state);
  log.submit([operation]);
  if (log.failure !== undefined) throw log.failure;
  state = after(state, operation);
  if (step % STEPS_PER_OPENING !== 0) continue;
  log.close();
  log = open();
  assertState(log.recovered, state);
  openings += 1;
}
log.close();
process.stdout.write(`${JSON.stringify({ steps: Number(steps), openings })}\n`);

function open(): DrivenLog<SystemDisk> {
  return new DrivenLog(new SystemDisk(), { folder });
}

function nextOperation({ next, hardState: held, commitHint, keepFrom, snapshot, entries: list }: LogState): Operation {
  const { term } = held;
  const taken = snapshot?.meta.lastLog.index ?? 0;
  const draw = below(10);
  const last = list.at(-1);
  if (draw === 0) return { kind: 'quiet' };
  if (draw === 1) return { kind: 'persist', batch: { hardState: hardState(term + 1, MEMBER) } };
  if (draw === 2 && last !== undefined && last.index > taken) {
    const bytes = new Uint8Array(1 + below(150_000)).fill(next);
    return { kind: 'save', meta: snapshotMeta(last.index, last.term), bytes, keepFrom: last.index - below(6) };
  }
  if (draw === 3 && below(4) === 0) {
    const index = Math.max(next, commitHint + 1) + below(20);
    return { kind: 'install', meta: snapshotMeta(index, term), bytes: new Uint8Array(below(3_000)) };
  }
  if (draw === 4) {
    const from = Math.max(keepFrom, taken + 1, commitHint + 1, next - below(5)) as LogIndex;
    const replaced = entries(from, 1 + below(3), term + 1, below(900));
    return { kind: 'persist', batch: { hardState: hardState(term + 1), truncateFrom: from, entries: replaced } };
  }
  const appended = entries(next, 1 + below(6), term, below(2_500));
  return { kind: 'persist', batch: { entries: appended, commitHint: present(next - 1, 'a number') as LogIndex } };
}
