/** `funkctl shards` and `funkctl shards show`: how the shards are spread, and who has one. */
import { withNode } from '../connection.ts';
import { EXIT_REFUSED, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine, printPairs, printTable } from '../output.ts';

const NO_MAP = 'there is no shard map yet; `funkctl status` says what is waited for';

export async function showShards(options: GlobalOptions): Promise<void> {
  const { nodeId, map, pendingVersion } = await withNode(options, (client) => client.shardMap({ ownersOnly: true }));
  if (map === null) throw new ExitError(EXIT_REFUSED, NO_MAP);
  const { version, committedAt, shardCount, nextShardCount, owners } = map;
  if (options.json)
    return printJson({ nodeId, version, committedAt, pendingVersion, shardCount, nextShardCount, owners });
  const total = shardCount + nextShardCount;
  printTable([
    ['Node ID', 'Shards', 'Percent'],
    ...owners.map((owner) => {
      const percent = total === 0 ? 0 : (owner.shardCount / total) * 100;
      return [printable(owner.nodeId), String(owner.shardCount), `(${percent.toFixed(1)}%)`];
    }),
  ]);
  printLine('');
  const change = nextShardCount === 0 ? '' : ` and ${nextShardCount} of the next number`;
  printLine(`Reporting node: ${printable(nodeId)}    Total shards: ${shardCount}${change}`);
}

/** `count`: which numbering, while the number of shards changes. */
export async function showShard(shard: number, count: number | undefined, options: GlobalOptions): Promise<void> {
  const { nodeId, map } = await withNode(options, (client) => client.shardMap());
  if (map === null) throw new ExitError(EXIT_REFUSED, NO_MAP);
  const numbering = count ?? map.shardCount;
  const isKnown = numbering === map.shardCount || (numbering === map.nextShardCount && numbering > 0);
  if (!isKnown)
    throw new ExitError(EXIT_REFUSED, `there is no numbering of ${numbering} shards; there are ${map.shardCount}`);
  if (shard >= numbering)
    throw new ExitError(EXIT_REFUSED, `there is no shard ${shard}: they go from 0 to ${numbering - 1}`);
  const slot = numbering === map.shardCount ? shard : map.shardCount + shard;
  const owner = map.owners[map.ownerOf[slot] ?? -1];
  const standbys = map.standbys.flatMap(({ ownerOf }) => map.owners[(ownerOf[slot] ?? 0) - 1]?.nodeId ?? []);
  const epoch = map.epochs[slot] ?? 0;
  if (options.json)
    return printJson({ nodeId, shard, shardCount: numbering, owner, epoch, standbys, mapVersion: map.version });
  printPairs([
    ['Shard', `${shard} of ${numbering}`],
    ['Owner', `${printable(owner?.nodeId ?? '')} (worker id ${owner?.workerId ?? 0})`],
    ['Epoch', String(epoch)],
    ['Standbys', standbys.length === 0 ? 'none' : standbys.map(printable).join(', ')],
    ['Reporting node', printable(nodeId)],
  ]);
}
