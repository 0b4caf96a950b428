/** `funknode backup`, `restore` and `recover force-new-cluster`: copies of what was agreed, and new clusters out of them. raft.md 14, R-4, R-5. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import {
  type Backup,
  copyDirectory,
  encodeBackup,
  forceNewCluster,
  type Inspection,
  inspectDirectory,
  type Outcome,
  restoreBackup,
  type SharedBeginning,
  storeBackup,
  verifyBackup,
} from '../../../src/offline.ts';
import { isNodeId, type NodeId } from '../../../src/model/ids.ts';
import { ConfigError } from '../../../src/node-config.ts';
import { EXIT_DONE, EXIT_USAGE } from '../exit-codes.ts';

/** As many voters as a cluster may have. */
const PEERS_MAX = 7;

export interface ForceOptions {
  readonly yes?: boolean;
  readonly peers?: string;
  readonly from?: string;
}

interface RestoreFlags {
  readonly dataDir: string;
  readonly nodeId?: string;
  readonly peers?: string;
}

export function addBackupVerbs(program: Command, onCode: (code: number) => void): void {
  const backup = program.command('backup').description('copies of what a cluster has agreed on');
  backup
    .command('save <data-dir> <file>')
    .description('copy a stopped node, its uncertain entries included; of a running one: funkctl backup')
    .action(async (folder: string, file: string) => {
      const stored = await storeBackup(file, encodeBackup(await copyDirectory(folder)));
      for (const line of backupLines(stored)) say(line);
      onCode(EXIT_DONE);
    });
  backup
    .command('verify <file>')
    .description('prove that a backup is whole and can be restored')
    .action(async (file: string) => {
      for (const line of backupLines(await verifyBackup(file))) say(line);
      say(`${file} is whole`);
      onCode(EXIT_DONE);
    });
  program
    .command('restore <file>')
    .description('begin a new cluster with the state of a backup, in an empty data directory')
    .requiredOption('--data-dir <path>', 'where; it must hold no data')
    .option('--node-id <id>', 'the name of the node; that of the node the backup was taken of unless given')
    .option('--peers <file>', 'a JSON list of the nodes that are restored from this file and begin together')
    .action(async (file: string, flags: RestoreFlags) => {
      const { dataDir, nodeId, peers } = flags;
      const own = nodeId === undefined ? undefined : nodeIdOf(nodeId, '--node-id');
      const together = peers === undefined ? undefined : readPeers(peers);
      const outcome = await restoreBackup(dataDir, await verifyBackup(file), { nodeId: own, peers: together });
      for (const line of outcomeLines(outcome, dataDir)) say(line);
      onCode(EXIT_DONE);
    });
}

/** Resolves with the exit code. */
export async function forceAfter(folder: string, { yes, peers, from }: ForceOptions): Promise<number> {
  if ((peers === undefined) !== (from === undefined))
    throw new ConfigError(['--peers and --from belong together: who begins, and from which copy']);
  const shared: SharedBeginning | undefined =
    peers === undefined || from === undefined
      ? undefined
      : { peers: readPeers(peers), backup: await verifyBackup(from) };
  if (yes !== true) {
    for (const line of inspectionLines(inspectDirectory(folder))) say(line);
    return refuseWithoutYes(shared === undefined ? WARNING_ALONE : warningTogether(shared));
  }
  const outcome = await forceNewCluster(folder, shared);
  for (const line of outcomeLines(outcome, folder)) say(line);
  if (outcome.kind === 'begun') say(`the old data is in ${folder}/quarantine`);
  return EXIT_DONE;
}

const WARNING_ALONE =
  'This node will be the only voter of a NEW cluster with this state, its uncertain entries included. Do it on one node only: the one whose last entry has the highest term, of equal terms the highest index. Every other node of the old cluster must be stopped and stay so until `funknode recover rejoin` has set its data aside: one that runs on may still serve shards.';

function warningTogether({ peers, backup }: SharedBeginning): string {
  return `This node will begin a NEW cluster with ${peers.join(', ')}, with the state of the backup (through index ${backup.meta.lastLog.index}) and not with what is above. Give the same list and the same backup to each of them, once. Every other node of the old cluster must be stopped and stay so until \`funknode recover rejoin\` has set its data aside: one that runs on may still serve shards.`;
}

export function refuseWithoutYes(text: string): number {
  process.stderr.write(`${text}\nNothing was changed. With --yes it is done.\n`);
  return EXIT_USAGE;
}

export function inspectionLines(found: Inspection): string[] {
  const { configuration, founding, last } = found;
  return [
    `node         ${found.nodeId}, stamp ${found.stamp}`,
    `cluster      ${founding?.clusterName ?? 'none'} ${found.clusterId ?? ''}`.trimEnd(),
    `last entry   ${last.index} of term ${last.term}`,
    `committed    ${Math.max(found.commitHint, found.snapshotIndex ?? 0)} or more; ${found.uncertain} entries are uncertain`,
    `term         ${found.term}`,
    `snapshot     ${found.snapshotIndex ?? 'none'}`,
    `shard map    ${found.shardMapVersion === 0 ? 'none' : `version ${found.shardMapVersion}`}`,
    `voters       ${list(configuration.voters)}`,
    `learners     ${list(configuration.learners)}`,
  ];
}

function backupLines(backup: Backup): string[] {
  const { meta, takenBy, takenAt, ledBy, uncertain } = backup;
  const led = ledBy === '' ? 'no leader was known to it' : `led by ${ledBy}`;
  return [
    `taken of     ${takenBy} at ${new Date(takenAt).toISOString()}, ${led}`,
    `cluster      ${backup.clusterName} ${meta.clusterId}`,
    `last entry   ${meta.lastLog.index} of term ${meta.lastLog.term}; ${uncertain} entries are uncertain`,
    `shard map    ${backup.mapVersion === 0 ? 'none' : `version ${backup.mapVersion}`}, ${backup.shardCount} shards`,
    `voters       ${list(meta.configuration.voters)}`,
    `state        ${backup.image.length} bytes`,
  ];
}

function outcomeLines(outcome: Outcome, folder: string): string[] {
  if (outcome.kind === 'finished') {
    const { nodeId, clusterId } = outcome.now;
    return [
      `an earlier run was interrupted and has now been brought to its end: ${folder} holds node ${nodeId} of cluster ${clusterId ?? 'none'}`,
    ];
  }
  const { nodeId, clusterId, voters, firstIndex, uncertain } = outcome;
  const role = voters.length === 1 ? 'the only voter' : `one of the voters (${voters.join(', ')})`;
  return [
    `node ${nodeId} is ${role} of the new cluster ${clusterId}; its log begins at ${firstIndex}`,
    `${uncertain} uncertain entries count from now on`,
  ];
}

/** `["n1", "n3"]`. */
function readPeers(path: string): NodeId[] {
  const problem = `${path}: wanted a JSON list of 1 to ${PEERS_MAX} node ids, such as ["n1", "n3"]`;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ConfigError([`${problem}: ${cause instanceof Error ? cause.message : String(cause)}`]);
  }
  if (!Array.isArray(value) || value.length === 0 || value.length > PEERS_MAX) throw new ConfigError([problem]);
  const peers = value.map((peer: unknown) => nodeIdOf(String(peer), path));
  if (new Set(peers).size < peers.length) throw new ConfigError([`${path} names a node twice`]);
  return peers;
}

function nodeIdOf(text: string, where: string): NodeId {
  if (!isNodeId(text)) throw new ConfigError([`${where}: "${text}" is not a node id`]);
  return text;
}

function list(members: readonly string[]): string {
  return members.join(' ') || 'none';
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
