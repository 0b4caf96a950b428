/** `funkctl shards`: how the shards are spread. */
import { withNode } from '../connection.ts';
import { EXIT_REFUSED, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine, printTable } from '../output.ts';

export async function showShards(options: GlobalOptions): Promise<void> {
  const { nodeId, map, pendingVersion } = await withNode(options, (client) => client.shardMap({ ownersOnly: true }));
  if (map === null)
    throw new ExitError(EXIT_REFUSED, 'there is no shard map yet; `funkctl status` says what is waited for');
  const { version, committedAt, shardCount, owners } = map;
  if (options.json) return printJson({ nodeId, version, committedAt, pendingVersion, shardCount, owners });
  printTable([
    ['Node ID', 'Shards', 'Percent'],
    ...owners.map((owner) => {
      const percent = shardCount === 0 ? 0 : (owner.shardCount / shardCount) * 100;
      return [printable(owner.nodeId), String(owner.shardCount), `(${percent.toFixed(1)}%)`];
    }),
  ]);
  printLine('');
  printLine(`Reporting node: ${printable(nodeId)}    Total shards: ${shardCount}`);
}
