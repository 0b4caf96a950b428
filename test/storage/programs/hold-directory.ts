/**
 * Opens a data directory (`<path>`) or takes a default slot (`--slot <base> <cluster>`), prints what it got as one line, holds it until its
 * standard input ends, and releases it. A new member makes itself the only voter of a cluster, as a founder does.
 */
import type { LogIndex, Term } from '../../../src/model/ids.ts';
import { openDataDirectory } from '../../../src/runtime/data-directory.ts';
import type { DataDirectory } from '../../../src/runtime/data-directory.ts';
import { openDefaultDataDirectory } from '../../../src/runtime/data-slots.ts';
import { StorageError } from '../../../src/runtime/disk-errors.ts';
import { encodeConfiguration } from '../../../src/wire/raft/entry.ts';
import { CLUSTER, CONFIGURATION } from '../log-model.ts';

const [first = '', base = '', cluster = ''] = process.argv.slice(2);

try {
  const directory = first === '--slot' ? await openDefaultDataDirectory(base, cluster) : await openDataDirectory(first);
  await foundWhenNew(directory);
  const { path, nodeId, stamp, hasVote, isNew } = directory;
  process.stdout.write(`${JSON.stringify({ path, nodeId, stamp, hasVote, isNew })}\n`);
  process.stdin.resume().on('end', () => {
    void directory.release();
  });
} catch (error) {
  if (!(error instanceof StorageError)) throw error;
  process.stdout.write(`${JSON.stringify({ code: error.code, message: error.message })}\n`);
  process.exitCode = error.exitCode;
}

async function foundWhenNew({ isNew, log, memberId }: DataDirectory): Promise<void> {
  if (!isNew) return;
  await log.identify(CLUSTER);
  const data = encodeConfiguration({ ...CONFIGURATION, voters: [memberId] });
  const term = 1 as Term;
  await log.persist({
    batchSeq: 1,
    underTerm: term,
    hardState: { term, vote: memberId },
    entries: [{ index: 1 as LogIndex, term, kind: 'config', data }],
  });
}
