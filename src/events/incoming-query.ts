/** A query that came, as something that can be answered. wire-gossip.md 16.3. */
import { utf8 } from '../base/bytes.ts';
import type { NodeEvent } from '../model/node-event.ts';
import { RefusedError } from '../runtime/handle-errors.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';

/** Someone asks; `respond` answers, once, before `deadline` (monotonic milliseconds, the clock of `node.now()`). */
export interface IncomingQuery {
  readonly name: string;
  readonly payload: Uint8Array;
  /** The member that asks. */
  readonly source: string;
  readonly lamportTime: number;
  readonly deadline: number;
  /** Text is sent as UTF-8; 1,024 bytes at most, as encoded. Rejects with RefusedError when it is too long, too late or the second. */
  respond(payload: Uint8Array | string): Promise<void>;
}

/** Undefined when the event is no query. */
export function incomingQuery(event: NodeEvent, handle: NodeHandle): IncomingQuery | undefined {
  if (event.kind !== 'queryAsked') return undefined;
  const { token, name, payload, source, lamportTime, deadline } = event;
  const respond = async (answer: Uint8Array | string): Promise<void> => {
    const bytes = typeof answer === 'string' ? utf8(answer) : answer;
    const outcome = await handle.gossip({ kind: 'respond', token, payload: bytes });
    if (outcome.kind === 'refused') throw new RefusedError(outcome.reason);
  };
  return { name, payload, source, lamportTime, deadline, respond };
}
