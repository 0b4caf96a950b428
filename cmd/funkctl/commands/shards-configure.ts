/** `funkctl shards set`, `unset`, `resize`, `settings`: what is agreed on about the spread of shards. */
import type { ShardSettingsAnswer, ShardSettingsChange } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { durationText } from '../durations.ts';
import { EXIT_REFUSED, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine, printPairs } from '../output.ts';

export async function showSettings(options: GlobalOptions): Promise<void> {
  const { settings } = await withNode(options, (client) => client.shardMap({ ownersOnly: true }));
  if (settings === null) throw new ExitError(EXIT_REFUSED, 'this node knows of no settings: it is of no cluster');
  if (options.json) return printJson(settings);
  printSettings(settings);
}

export async function configureShards(change: ShardSettingsChange, options: GlobalOptions): Promise<void> {
  const { leaderId, settings } = await withNode(options, (client) => client.configureShards(change));
  if (options.json) return printJson({ leaderId, settings });
  printLine(`Leader ${printable(leaderId)} has agreed on this with the others:`);
  printSettings(settings);
}

function printSettings(settings: ShardSettingsAnswer): void {
  const rules = (list: ShardSettingsAnswer['pins']): string =>
    listed(list.map(({ from, to, nodeId }) => `${range(from, to)} on ${printable(nodeId)}`));
  printPairs([
    ['Standbys of each shard', String(settings.replicas)],
    ['Moves in one map', settings.moveCap === 0 ? 'any number' : `at most ${settings.moveCap}`],
    ['Worker ids rest', durationText(settings.workerQuarantineMs)],
    ['Weights', listed(settings.nodeWeights.map(({ nodeId, weight }) => `${printable(nodeId)} ${weight}`))],
    ['Costs', listed(settings.shardCosts.map(({ from, to, cost }) => `${range(from, to)} cost ${cost}`))],
    ['Pinned', rules(settings.pins)],
    ['Kept away', rules(settings.avoided)],
    ['Without shards', listed(settings.excluded.map(printable))],
    ['Number of shards', settings.nextShardCount === 0 ? 'stays' : `changes to ${settings.nextShardCount}`],
    ['Version', String(settings.version)],
  ]);
}

function listed(items: readonly string[]): string {
  return items.length === 0 ? 'none' : items.join('; ');
}

function range(from: number, to: number): string {
  return from === to ? `shard ${from}` : `shards ${from}-${to}`;
}
