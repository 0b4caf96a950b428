/** One query through a node's handle, as something to iterate over. */
import { randomInt } from 'node:crypto';
import type { NodeEvent } from '../model/node-event.ts';
import type { GossipOutcome, QueryParameters } from '../model/gossip-request.ts';
import { RefusedError } from './handle-errors.ts';
import type { CallOptions, NodeHandle } from './node-handle.ts';

export type QueryAnswer =
  | { readonly kind: 'ack'; readonly from: string }
  | { readonly kind: 'response'; readonly from: string; readonly payload: Uint8Array };

export interface QueryCounts {
  readonly acks: number;
  readonly responses: number;
}

/** Callers in several threads draw their numbers without asking each other. */
const NUMBERS = 2 ** 47;

/**
 * Acks and responses as they come, one of each from a member at most; ends with the query's time and returns how many there were. Leaving
 * the loop ends the query. Throws RefusedError when nothing was asked, StoppedError, or the reason of an aborted signal.
 */
export async function* askQuery(
  handle: NodeHandle,
  parameters: QueryParameters,
  options: CallOptions = {},
): AsyncGenerator<QueryAnswer, QueryCounts, undefined> {
  const query = randomInt(NUMBERS);
  const waiting: QueryAnswer[] = [];
  let wake: () => void = () => undefined;
  let outcome: GossipOutcome | undefined;
  let failure: unknown;
  const unsubscribe = handle.subscribe((event) => {
    const answer = answerIn(event, query);
    if (answer === undefined) return;
    waiting.push(answer);
    wake();
  });
  handle
    .gossip({ kind: 'query', query, parameters }, options)
    .then(
      (value) => {
        outcome = value;
      },
      (error: unknown) => {
        failure = error ?? new RefusedError('the query was aborted');
      },
    )
    .finally(() => wake());
  try {
    for (;;) {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next;
      if (failure !== undefined) throw failure;
      if (outcome !== undefined) return countsOf(outcome);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    unsubscribe();
    // Whoever leaves early wants no more of it; that the node has stopped meanwhile ends it as well.
    if (outcome === undefined) handle.gossip({ kind: 'closeQuery', query }).catch(() => undefined);
  }
}

function countsOf(outcome: GossipOutcome): QueryCounts {
  if (outcome.kind === 'refused') throw new RefusedError(outcome.reason);
  return outcome.kind === 'queryEnded'
    ? { acks: outcome.acks, responses: outcome.responses }
    : { acks: 0, responses: 0 };
}

function answerIn(event: NodeEvent, query: number): QueryAnswer | undefined {
  if (event.kind === 'queryAck' && event.query === query) return { kind: 'ack', from: event.from };
  if (event.kind !== 'queryResponse' || event.query !== query) return undefined;
  return { kind: 'response', from: event.from, payload: event.payload };
}
