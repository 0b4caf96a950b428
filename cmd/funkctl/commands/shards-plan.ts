/** `funkctl shards plan`: what would move, where, and why, if. Nothing changes. */
import type { ShardPlan, ShardSettingsChange } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine, printTable } from '../output.ts';

/** More ways than these are summed up. */
const MOVES_SHOWN = 20;

export interface PlanQuestion {
  readonly without: readonly string[];
  readonly joined: readonly string[];
  readonly change: ShardSettingsChange;
}

export async function planShards(question: PlanQuestion, options: GlobalOptions): Promise<void> {
  const plan = await withNode(options, (client) => client.planShards(question));
  if (options.json) return printJson(plan);
  const hasZones = plan.nodes.some((node) => node.zone !== '');
  const hasStandbys = plan.nodes.some((node) => node.standbyBefore + node.standbyAfter > 0);
  printTable([
    [
      'Node ID',
      ...(hasZones ? ['Zone'] : []),
      'Weight',
      'Now',
      'Then',
      ...(hasStandbys ? ['Standby now', 'Standby then'] : []),
      'In',
      'Out',
    ],
    ...plan.nodes.map((node) => [
      printable(node.nodeId),
      ...(hasZones ? [printable(node.zone === '' ? '-' : node.zone)] : []),
      String(node.weight),
      String(node.before),
      String(node.after),
      ...(hasStandbys ? [String(node.standbyBefore), String(node.standbyAfter)] : []),
      node.movesIn === 0 ? '-' : `+${node.movesIn}`,
      node.movesOut === 0 ? '-' : `-${node.movesOut}`,
    ]),
  ]);
  printLine('');
  for (const line of explained(plan)) printLine(line);
  printLine('');
  printLine('Nothing was changed.');
}

function explained(plan: ShardPlan): string[] {
  const total = plan.shardCount + plan.nextShardCount;
  const lines = [`${plan.moved} of ${total} shards would move; ${fewest(plan)}.`];
  for (const move of plan.moves.slice(0, MOVES_SHOWN)) lines.push(`  ${moveLine(move)}`);
  const rest = plan.moves.slice(MOVES_SHOWN);
  if (rest.length > 0)
    lines.push(`  and ${rest.reduce((sum, move) => sum + move.count, 0)} on ${rest.length} other ways`);
  if (plan.standbysMoved > 0) {
    const zones =
      plan.standbysMovedForZones > 0 ? `, ${plan.standbysMovedForZones} of them to leave the zone of another copy` : '';
    lines.push(`${plan.standbysMoved} standbys would be new${zones}.`);
  }
  if (plan.steps > 1)
    lines.push(`It would take ${plan.steps} maps, of at most ${plan.settings?.moveCap ?? 0} moves each.`);
  return [...lines, ...plan.notes.map((note) => `Note: ${note}.`)];
}

function fewest(plan: ShardPlan): string {
  if (plan.moved === plan.fewest) return plan.moved === 0 ? 'all is where it belongs' : 'no fewer would do';
  return plan.isFewestExact ? `the fewest would be ${plan.fewest}` : `at least ${plan.fewest} have to`;
}

function moveLine(move: ShardPlan['moves'][number]): string {
  const way = move.from === '' ? `to ${printable(move.to)}` : `${printable(move.from)} to ${printable(move.to)}`;
  const promoted = move.toStandby > 0 ? `, ${move.toStandby} of them to a standby` : '';
  const examples = move.examples.length < move.count ? `${move.examples.join(', ')}, ...` : move.examples.join(', ');
  return `${way}: ${move.count} (${REASONS[move.reason]?.(printable(move.from)) ?? move.reason}${promoted}): ${examples}`;
}

const REASONS: Readonly<Record<string, (from: string) => string>> = {
  death: (from) => `${from} is gone`,
  drain: (from) => `${from} gives its shards away`,
  excluded: (from) => `${from} takes no shards`,
  pin: () => 'they are pinned there',
  avoid: (from) => `they must not be on ${from}`,
  balance: () => 'balance',
  new: () => 'nobody had them',
};
