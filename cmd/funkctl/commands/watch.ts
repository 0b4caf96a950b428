/** `funkctl watch`: one line per change, until interrupted. */
import type { WatchChange } from '../../../src/client.ts';
import { WatchNarrator } from '../watch-narrator.ts';
import { withNode } from '../connection.ts';
import type { GlobalOptions } from '../options.ts';
import { printJson, printLine } from '../output.ts';

export interface WatchOptions extends GlobalOptions {
  /** Lists every shard's owner and epoch in the JSON of a map. */
  readonly full?: boolean;
}

export async function watchNode(options: WatchOptions): Promise<void> {
  const aborter = new AbortController();
  const onInterrupt = (): void => aborter.abort();
  process.once('SIGINT', onInterrupt).once('SIGTERM', onInterrupt);
  const narrator = new WatchNarrator();
  try {
    await withNode(options, async (client) => {
      for await (const change of client.watch({ signal: aborter.signal })) {
        const at = new Date();
        if (options.json) printJson({ at: at.toISOString(), ...withoutShards(change, options) }, 'line');
        else for (const line of narrator.linesFor(change)) printLine(`${at.toTimeString().slice(0, 8)} ${line}`);
      }
    });
  } catch (error) {
    // To be interrupted is how a watch ends well.
    if (!aborter.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
  }
}

/** Ten thousand numbers a line are for those who ask for them. */
function withoutShards(change: WatchChange, options: WatchOptions): object {
  if (change.kind !== 'shardMap') return change;
  const { ownerOf, epochs, standbys, packed: _, ...rest } = change.shardMap;
  return { kind: change.kind, shardMap: options.full === true ? { ...rest, ownerOf, epochs, standbys } : rest };
}
