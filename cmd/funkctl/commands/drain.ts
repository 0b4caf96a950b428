/** `funkctl drain` and `undrain`: a node's shards move away, so that it can be taken down without a pause; or it is given shards again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagementClient } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

const LOOK_MS = 250;

/** Drains the node that is asked, or the one named, which the asked one passes it on to. Says on stderr how many shards are left. */
export async function drainNode(node: string | undefined, options: GlobalOptions): Promise<void> {
  const drained = await withNode(options, async (client) => {
    const name = node ?? (await client.status()).status.nodeId;
    const over = new AbortController();
    const told = options.json ? Promise.resolve() : tellProgress(client, name, over.signal);
    try {
      return await client.drain({ node: name, timeoutMs: options.timeoutMs });
    } finally {
      over.abort();
      await told;
    }
  });
  if (options.json) return printJson({ nodeId: drained, drained: true });
  printLine(`Node ${printable(drained)} is drained`);
}

export async function undrainNode(node: string | undefined, options: GlobalOptions): Promise<void> {
  const undrained = await withNode(options, (client) =>
    client.undrain({ ...(node !== undefined && { node }), timeoutMs: options.timeoutMs }),
  );
  if (options.json) return printJson({ nodeId: undrained, drained: false });
  printLine(`Node ${printable(undrained)} takes shards again`);
}

/** A line whenever the number of its shards has changed, until the drain is over. */
async function tellProgress(client: ManagementClient, node: string, over: AbortSignal): Promise<void> {
  let told = 0;
  while (!over.aborted) {
    // What cannot be read is not shown; the drain itself says what went wrong.
    const map = await client.shardMap({ ownersOnly: true }).then(
      (answer) => answer.map,
      () => null,
    );
    const count = map?.owners.find((owner) => owner.nodeId === node)?.shardCount ?? 0;
    if (count !== told && !over.aborted) process.stderr.write(`${printable(node)}: ${count} shards left\n`);
    told = count;
    await sleep(LOOK_MS, undefined, { signal: over }).catch(() => undefined);
  }
}
