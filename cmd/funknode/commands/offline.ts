/**
 * `funknode wal`, `snap` and `recover`: the data directory of a node that does not run. All but the two verbs that ask for `--yes` read
 * alone. raft.md 11.7, 14.
 */
import { Command, CommanderError } from 'commander';
import {
  type BatchDump,
  FormatFault,
  forceNewCluster,
  type Inspection,
  inspectDirectory,
  type SegmentDump,
  setAside,
  StorageError,
  verifySnapshots,
  walDump,
} from '../../../src/offline.ts';
import { EXIT_DONE, EXIT_USAGE, exitCodeOf } from '../exit-codes.ts';

const EXIT_DAMAGED = 65;
/** What stands in an entry is shown up to here. */
const DATA_SHOWN = 24;

/** Resolves with the exit code. */
export async function runOffline(argv: readonly string[]): Promise<number> {
  let code: number = EXIT_DONE;
  const program = new Command('funknode').exitOverride();
  const act = (work: (folder: string, options: Options) => number | Promise<number>) => {
    return async (folder: string, options: Options): Promise<void> => {
      code = await work(folder, options);
    };
  };
  const wal = program.command('wal').description('the write-ahead log of a data directory');
  const dump = wal
    .command('dump <data-dir>')
    .description('print every batch and record')
    .option('--json', 'print JSON');
  dump.action(act((folder, { json }) => dumpWal(folder, json === true)));
  wal.command('verify <data-dir>').description('check that a node could start from it').action(act(verifyWal));
  const snap = program.command('snap').description('the snapshots of a data directory');
  snap.command('verify <data-dir>').description('check every snapshot against its hash').action(act(verifySnap));
  const recover = program.command('recover').description('what to do when data or a quorum is lost');
  const inspect = recover.command('inspect <data-dir>').description('how far this node had come');
  inspect.option('--json', 'print JSON').action(act((folder, { json }) => inspectAndPrint(folder, json === true)));
  const rejoin = recover
    .command('rejoin <data-dir>')
    .description('set the data aside: the node comes back as a new member');
  rejoin.option('--yes', 'do it').action(act(rejoinAfter));
  const force = recover.command('force-new-cluster <data-dir>');
  force.description('make this node the only voter of a new cluster with the old state').option('--yes', 'do it');
  force.action(act(forceAfter));
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

/** Bytes as hexadecimal text, long ones cut. */
function shown(record: object): unknown {
  return JSON.parse(
    JSON.stringify(record, (_key, value: unknown) => {
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

function inspectionLines(found: Inspection): string[] {
  const { configuration, founding, last } = found;
  const list = (members: readonly string[]): string => members.join(' ') || 'none';
  return [
    `node         ${found.nodeId}, stamp ${found.stamp}`,
    `cluster      ${founding?.clusterName ?? 'none'} ${found.clusterId ?? ''}`.trimEnd(),
    `last entry   ${last.index} of term ${last.term}`,
    `committed    ${Math.max(found.commitHint, found.snapshotIndex ?? 0)} or more; ${found.uncertain} entries are uncertain`,
    `term         ${found.term}`,
    `snapshot     ${found.snapshotIndex ?? 'none'}`,
    `shard map    ${found.shardMapVersion === 0 ? 'none' : found.shardMapVersion}`,
    `voters       ${list(configuration.voters)}`,
    `learners     ${list(configuration.learners)}`,
  ];
}

async function rejoinAfter(folder: string, { yes }: Options): Promise<number> {
  if (yes !== true) {
    return refuseWithoutYes(
      `The data in ${folder} will be moved into its quarantine/ and the node will come back as a new member. What only this node holds is lost to the cluster.`,
    );
  }
  say(`the data is in ${await setAside(folder)}; the next start is that of a new member`);
  return EXIT_DONE;
}

async function forceAfter(folder: string, { yes }: Options): Promise<number> {
  if (yes !== true) {
    for (const line of inspectionLines(inspectDirectory(folder))) say(line);
    return refuseWithoutYes(
      'This node will be the only voter of a NEW cluster with this state, its uncertain entries included. Do it on one node only: the one whose last entry has the highest term, of equal terms the highest index. Every other node of the old cluster must be stopped and stay so until `funknode recover rejoin` has set its data aside: one that runs on may still serve shards.',
    );
  }
  const { before, clusterId, firstIndex } = await forceNewCluster(folder);
  say(`node ${before.nodeId} is the only voter of the new cluster ${clusterId}; its log begins at ${firstIndex}`);
  say(`${before.uncertain} uncertain entries count from now on; the old data is in ${folder}/quarantine`);
  return EXIT_DONE;
}

function refuseWithoutYes(text: string): number {
  process.stderr.write(`${text}\nNothing was changed. With --yes it is done.\n`);
  return EXIT_USAGE;
}
