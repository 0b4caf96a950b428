/** Events of one kind, to be iterated over at the reader's pace. */
import type { NodeEvent } from '../model/node-event.ts';
import type { CallOptions, NodeHandle } from '../runtime/node-handle.ts';

/** Events that wait for a slow reader; beyond it the oldest are forgotten, for the node waits for nobody. */
const WAITING_MAX = 10_000;

/**
 * What `pick` makes of each event, from the first `next()` on, in order; `handleNow` is asked then, too. Ends when the node stops or the loop is
 * left; throws the reason of an aborted signal.
 */
export async function* eventFeed<T extends object>(
  handleNow: () => NodeHandle,
  pick: (event: NodeEvent, handle: NodeHandle) => T | undefined,
  { signal }: CallOptions = {},
): AsyncGenerator<T, void, undefined> {
  const waiting: T[] = [];
  let isOver = false;
  let wake: () => void = () => undefined;
  const handle = handleNow();
  const unsubscribe = handle.subscribe((event) => {
    isOver ||= event.kind === 'stopped';
    const picked = pick(event, handle);
    if (picked !== undefined) waiting.push(picked);
    if (waiting.length > WAITING_MAX) waiting.shift();
    wake();
  });
  const onAbort = (): void => wake();
  signal?.addEventListener('abort', onAbort);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else if (isOver) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    unsubscribe();
  }
}
