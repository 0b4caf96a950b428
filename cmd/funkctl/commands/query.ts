/** `funkctl query`: asks the members and shows acks and answers as they come. */
import { withNode } from '../connection.ts';
import { EXIT_USAGE, ExitError } from '../exit-codes.ts';
import { type GlobalOptions, tagFilter } from '../options.ts';
import { printJson, printLine } from '../output.ts';

export interface QueryWords {
  readonly name: string;
  readonly payload: string;
  readonly node: readonly string[];
  readonly tag: readonly string[];
  readonly ack: boolean;
  readonly relayFactor: string;
  readonly wait?: number;
}

export async function askMembers(words: QueryWords, options: GlobalOptions): Promise<void> {
  const { name, payload, node, tag, ack, relayFactor, wait } = words;
  if (!/^[0-5]$/.test(relayFactor))
    throw new ExitError(EXIT_USAGE, `--relay-factor is ${relayFactor}; it must be 0 to 5`);
  const tags = Object.fromEntries(tag.map(tagFilter));
  const question = {
    name,
    payload: Buffer.from(payload),
    nodes: node,
    tags,
    wantsAck: ack,
    relayFactor: Number(relayFactor),
  };
  await withNode(options, async (client) => {
    if (!options.json) printLine(`Query '${name}' dispatched`);
    for await (const message of client.query({ ...question, ...(wait === undefined ? {} : { timeoutMs: wait }) })) {
      if (message.kind === 'response') {
        const text = Buffer.from(message.payload).toString();
        if (options.json) printJson({ kind: message.kind, from: message.from, payload: text }, 'line');
        else printLine(`Response from '${message.from}': ${text}`);
      } else if (options.json) printJson(message, 'line');
      else if (message.kind === 'ack') printLine(`Ack from '${message.from}'`);
      else printLine(`Total Acks: ${message.acks}\nTotal Responses: ${message.responses}`);
    }
  });
}
