/** `funkctl backup`: what the cluster has agreed on, as one node has it, into a file that proves itself. */
import { type BackupFile, storeBackup } from '../../../src/offline.ts';
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

export async function takeBackup(file: string, options: GlobalOptions): Promise<void> {
  const signal = AbortSignal.timeout(options.timeoutMs);
  const backup = await withNode(options, (client) => storeBackup(file, client.backup({ signal })));
  const facts = factsOf(backup, file);
  if (options.json) return printJson(facts);
  const { index, term } = backup.meta.lastLog;
  const size = `${backup.image.length} bytes of state`;
  printLine(`${printable(file)}: ${size} of node ${printable(backup.takenBy)}, through index ${index} of term ${term}`);
  if (backup.ledBy === '')
    process.stderr.write('The node knew no leader: what was agreed shortly before may be missing. Ask another node.\n');
}

function factsOf({ meta, takenBy, takenAt, ledBy, clusterName, mapVersion }: BackupFile, file: string): unknown {
  const { clusterId, lastLog } = meta;
  return { file, nodeId: takenBy, takenAt, leaderId: ledBy, clusterName, clusterId, ...lastLog, mapVersion };
}
