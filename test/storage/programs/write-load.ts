/** Appends to the log in `<path>` as fast as it goes, several batches in flight, and prints the last durable index, until it is killed. */
import { writeSync } from 'node:fs';
import type { LogIndex, Term } from '../../../src/model/ids.ts';
import { openDataDirectory } from '../../../src/runtime/data-directory.ts';
import { CLUSTER, entry, snapshotMeta } from '../log-model.ts';

const IN_FLIGHT = 8;
const SNAPSHOT_EVERY = 500;

const directory = await openDataDirectory(process.argv[2] ?? '', { segmentBytes: 256 * 1024 });
const { log } = directory;
if (log.clusterId === undefined) await log.identify(CLUSTER);
const term = (log.recovered.hardState.term + 1) as Term;
let next = 1 + (log.recovered.entries.at(-1)?.index ?? log.recovered.snapshot?.meta.lastLog.index ?? 0);
let batchSeq = 1;
await log.persist({ batchSeq: batchSeq++, underTerm: term, hardState: { term, vote: null } });

await Promise.all(Array.from({ length: IN_FLIGHT }, append));

async function append(): Promise<void> {
  for (;;) {
    const index = next++;
    await log.persist({ batchSeq: batchSeq++, underTerm: term, entries: [entry(index, term, index % 700)] });
    // Written at once: what the test has read, the log has acknowledged.
    say(`${index}\n`);
    if (index % SNAPSHOT_EVERY === 0)
      await log.saveSnapshot(snapshotMeta(index, term), new Uint8Array(100_000), (index - 50) as LogIndex);
  }
}

/** A pipe whose reader is slow takes nothing for a while; the line must not be lost. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
