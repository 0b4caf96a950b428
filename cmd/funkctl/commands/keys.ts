/** `funkctl keys`: the keys of gossip on every member at once, as `serf keys` shows and changes them. */
import type { KeyOperation, KeysAnswer } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { EXIT_REFUSED, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine, printTable } from '../output.ts';

const DONE: Readonly<Record<Exclude<KeyOperation, 'list'>, string>> = {
  install: 'Key installed',
  use: 'Primary key changed',
  remove: 'Key removed',
};

export async function manageKeys(
  operation: KeyOperation,
  key: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const query = key === undefined ? {} : { key };
  const answer = await withNode(options, (client) => client.keys(operation, query));
  if (options.json) printJson(answer);
  else if (operation === 'list') printKeys(answer);
  for (const { nodeId, text } of answer.messages)
    process.stderr.write(`${printable(nodeId)}: ${printable(text) || 'failed'}\n`);
  const problem = problemOf(answer);
  if (problem !== undefined) throw new ExitError(EXIT_REFUSED, problem);
  if (operation !== 'list' && !options.json)
    printLine(`${DONE[operation]} on ${answer.responses} of ${answer.members} nodes`);
}

/** Serf's verdict: any failure, and anyone who said nothing, fails the whole. */
function problemOf({ members, responses, failures }: KeysAnswer): string | undefined {
  if (failures > 0) return `${failures}/${members} nodes reported failure`;
  return responses < members ? `${responses}/${members} nodes reported success` : undefined;
}

function printKeys({ keys, primaryKeys, members }: KeysAnswer): void {
  const primary = new Map(primaryKeys.map(({ key, members: count }) => [key, count]));
  const rows = [...keys]
    .sort((a, b) => (primary.get(b.key) ?? 0) - (primary.get(a.key) ?? 0) || (a.key < b.key ? -1 : 1))
    .map(({ key, members: count }) => {
      const uses = primary.get(key);
      return [printable(key), `[${count}/${members}]`, uses === undefined ? '' : `primary [${uses}/${members}]`];
    });
  if (rows.length > 0) printTable(rows);
}
