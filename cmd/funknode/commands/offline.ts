/**
 * `funknode wal`, `snap`, `recover`, `backup` and `restore`: the data directory of a node that does not run. All but `restore` and the two
 * verbs that ask for `--yes` read alone. raft.md 11.7, 14.
 */
import { Command, CommanderError } from 'commander';
import {
  type BatchDump,
  FormatFault,
  inspectDirectory,
  meaningOf,
  refuseWithoutNode,
  type SegmentDump,
  setAside,
  StorageError,
  verifySnapshots,
  walDump,
} from '../../../src/offline.ts';
type LogRecord = Exclude<BatchDump['records'], FormatFault>[number];
import { EXIT_DONE, EXIT_USAGE, exitCodeOf } from '../exit-codes.ts';
import { addBackupVerbs, forceAfter, type ForceOptions, inspectionLines, refuseWithoutYes } from './beginnings.ts';

const EXIT_DAMAGED = 65;
/** What stands in an entry is shown up to here. */
const DATA_SHOWN = 24;

/** Resolves with the exit code. */
export async function runOffline(argv: readonly string[]): Promise<number> {
  let code: number = EXIT_DONE;
  const program = new Command('funknode').exitOverride();
  const act = <T>(work: (folder: string, options: T) => number | Promise<number>) => {
    return async (folder: string, options: T): Promise<void> => {
      code = await work(folder, options);
    };
  };
  const wal = program.command('wal').description('the write-ahead log of a data directory');
  const dump = wal
    .command('dump <data-dir>')
    .description('print every batch and record')
    .option('--json', 'print JSON');
  dump.action(act<Options>((folder, { json }) => dumpWal(folder, json === true)));
  wal.command('verify <data-dir>').description('check that a node could start from it').action(act(verifyWal));
  const snap = program.command('snap').description('the snapshots of a data directory');
  snap.command('verify <data-dir>').description('check every snapshot against its hash').action(act(verifySnap));
  const recover = program.command('recover').description('what to do when data or a quorum is lost');
  const inspect = recover.command('inspect <data-dir>').description('how far this node had come');
  inspect
    .option('--json', 'print JSON')
    .action(act<Options>((folder, { json }) => inspectAndPrint(folder, json === true)));
  const rejoin = recover
    .command('rejoin <data-dir>')
    .description('set the data aside: the node comes back as a new member');
  rejoin.option('--yes', 'do it').action(act(rejoinAfter));
  const force = recover.command('force-new-cluster <data-dir>');
  force.description('make this node the only voter of a new cluster with the old state').option('--yes', 'do it');
  force.option('--peers <file>', 'a JSON list of the nodes that begin it together; the same on each of them');
  force.option('--from <backup>', 'with --peers: the copy of the furthest of them, the same on each');
  force.action(act<ForceOptions>(forceAfter));
  addBackupVerbs(program, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
    process.stderr.write(`funknode: ${(error as Error).message}\n`);
    return exitCodeOf(error);
  }
  return code;
}

interface Options {
  readonly json?: boolean;
  readonly yes?: boolean;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function dumpWal(folder: string, asJson: boolean): number {
  const { segments, verdict } = walDump(folder);
  if (asJson) {
    for (const { file, batches } of segments)
      for (const { offset, header, records } of batches)
        say(
          JSON.stringify({
            file,
            offset,
            header,
            records: records instanceof FormatFault ? records : records.map(shown),
          }),
        );
  } else for (const segment of segments) for (const line of segmentLines(segment)) say(line);
  return conclude(verdict instanceof StorageError ? verdict : undefined, folder);
}

function* segmentLines({ file, size, header, batches }: SegmentDump): Generator<string> {
  yield `${file}: ${size} bytes, ${batches.length} batches`;
  if (header === 'newer') yield '  its header was written by a newer version';
  else if (header instanceof FormatFault) yield `  its header is damaged at byte ${header.offset}: ${header.reason}`;
  else yield `  segment ${header.segment}, first index ${header.firstIndex}, term ${header.hardState.term}`;
  for (const batch of batches) yield* batchLines(batch);
}

function* batchLines({ offset, header, records }: BatchDump): Generator<string> {
  yield `  @${offset} batch ${header.sequence}: ${header.recordCount} records, ${header.payloadSize} bytes`;
  if (records instanceof FormatFault) yield `    damaged at byte ${records.offset}: ${records.reason}`;
  else for (const record of records) yield `    ${JSON.stringify(shown(record))}`;
}

/** Entries with what they mean; other bytes as hexadecimal text, long ones cut. */
function shown(record: LogRecord): unknown {
  const means = record.kind === 'entry' ? meaningOf(record.entry) : undefined;
  return JSON.parse(
    JSON.stringify(means === undefined ? record : { ...record, means }, (_key, value: unknown) => {
      if (!(value instanceof Uint8Array)) return value;
      const hex = Buffer.from(value.subarray(0, DATA_SHOWN)).toString('hex');
      return value.length <= DATA_SHOWN ? hex : `${hex}… (${value.length} bytes)`;
    }),
  );
}

function verifyWal(folder: string): number {
  const { segments, verdict } = walDump(folder);
  const batches = segments.reduce((sum, segment) => sum + segment.batches.length, 0);
  say(`${folder}: ${segments.length} segments, ${batches} batches`);
  return conclude(verdict instanceof StorageError ? verdict : undefined, folder);
}

function conclude(trouble: StorageError | undefined, folder: string): number {
  if (trouble === undefined) {
    say(`a node can start from ${folder}`);
    return EXIT_DONE;
  }
  process.stderr.write(`funknode: ${trouble.message}\n`);
  return EXIT_DAMAGED;
}

function verifySnap(folder: string): number {
  const verdicts = verifySnapshots(folder);
  if (verdicts.length === 0) say(`${folder} has no snapshot`);
  for (const { file, bytes, result } of verdicts) {
    if (result instanceof FormatFault)
      process.stderr.write(`${file}: damaged at byte ${result.offset}: ${result.reason}\n`);
    else say(`${file}: ${bytes} bytes, whole, through index ${result.lastLog.index} of term ${result.lastLog.term}`);
  }
  return verdicts.some(({ result }) => result instanceof FormatFault) ? EXIT_DAMAGED : EXIT_DONE;
}

function inspectAndPrint(folder: string, asJson: boolean): number {
  const found = inspectDirectory(folder);
  if (asJson) say(JSON.stringify(found));
  else for (const line of inspectionLines(found)) say(line);
  return EXIT_DONE;
}

async function rejoinAfter(folder: string, { yes }: Options): Promise<number> {
  refuseWithoutNode(folder);
  if (yes !== true) {
    return refuseWithoutYes(
      `The data in ${folder} will be moved into its quarantine/ and the node will come back as a new member. What only this node holds is lost to the cluster.`,
    );
  }
  const { path, nodeId } = await setAside(folder);
  const name =
    nodeId === undefined ? 'give it its name with --node-id, which could not be read' : `called ${nodeId} as before`;
  say(`the data is in ${path}; the next start is that of a new member: ${name}`);
  return EXIT_DONE;
}
