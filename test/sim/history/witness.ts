/**
 * The first of the two engines that judge what clients were told (reliability.md 8): the log is the order. It is replayed, every answer must
 * be the one that the replay gives at its place, and no operation that had ended before another was asked may stand behind it. What nobody
 * heard of is settled by the log: it is there, or it never was. O(n log n), so histories need no limits; wrong revisions cannot deceive it,
 * since the replay would not give their answers.
 */
import type { KeyValue, KvReply, KvRequest, KvResult } from '../../../src/model/kv.ts';
import { fromUtf8 } from '../../../src/base/bytes.ts';
import type { KvBatch } from '../../../src/wire/kv/batch.ts';
import { Violation } from '../violation.ts';
import { type Applied, KvStoreModel, replyText } from './kv-store.ts';

export interface KvEntry {
  readonly index: number;
  readonly term: number;
  readonly batch: KvBatch;
}

export interface AskedKv {
  readonly client: number;
  readonly request: KvRequest;
  /** Position in the order of all calls and returns. */
  readonly call: number;
  /** Infinity when nobody heard how it ended. */
  readonly return: number;
  /** Undefined when nobody knows, `none` when it was certainly not done. */
  readonly reply: KvReply | 'none' | undefined;
}

export interface WitnessFigures {
  /** Answers that were compared with the replay. */
  readonly compared: number;
  /** Of what nobody heard of: so many took effect, ... */
  readonly happened: number;
  /** ... and so many did not. */
  readonly vanished: number;
}

interface Placed {
  readonly asked: AskedKv;
  readonly revision: number;
  /** Its own revision: it comes before all who saw that one. */
  readonly hasChanged: boolean;
}

export function judgeByLog(log: readonly KvEntry[], asked: readonly AskedKv[]): WitnessFigures {
  checkClients(asked);
  const model = new KvStoreModel();
  const taken = replay(model, log);
  let [compared, happened, vanished] = [0, 0, 0];
  const placed: Placed[] = [];
  for (const one of asked) {
    const { request, reply } = one;
    const effect = request.kind === 'mutate' ? taken.get(markOf(request)) : undefined;
    if (reply === undefined || reply === 'none') {
      if (request.kind !== 'mutate') continue;
      if (effect === undefined) vanished += 1;
      else if (reply === 'none') fail(one, 'it was refused, and it is in the log');
      else {
        happened += 1;
        if (effect.hasChanged) placed.push({ asked: one, revision: revisionOf(effect.reply), hasChanged: true });
      }
      continue;
    }
    if (reply.kind === 'refused') continue;
    compared += 1;
    const expected = request.kind === 'read' ? model.readAt(reply.revision, request.query) : effect?.reply;
    if (expected === undefined) fail(one, 'nothing in the log answers so');
    else if (replyText(expected) !== replyText(reply)) fail(one, `by the log it is ${replyText(expected)}`);
    // Where a stale read stands in time is nobody's promise.
    if (request.kind === 'read' && request.consistency === 'stale') continue;
    placed.push({ asked: one, revision: reply.revision, hasChanged: effect?.hasChanged === true });
  }
  checkOrder(placed);
  return { compared, happened, vanished };
}

/** By session and number, what took effect of it. A second effect is told at once. */
function replay(model: KvStoreModel, log: readonly KvEntry[]): ReadonlyMap<string, Applied> {
  const taken = new Map<string, Applied>();
  for (const { index, term, batch } of log)
    for (const applied of model.apply(index, term, batch)) {
      const { item, isFirst, reply } = applied;
      if (item.kind !== 'mutate' || !isFirst || reply.kind === 'refused') continue;
      const mark = markOf(item);
      if (mark === '') continue;
      if (taken.has(mark)) throw new Violation(`I-23: request ${mark} takes effect again at ${index}`);
      taken.set(mark, applied);
    }
  return taken;
}

function checkOrder(placed: Placed[]): void {
  placed.sort(
    (a, b) => a.revision - b.revision || Number(b.hasChanged) - Number(a.hasChanged) || a.asked.call - b.asked.call,
  );
  let latest: AskedKv | undefined;
  let before: Placed | undefined;
  for (const each of placed) {
    const { asked } = each;
    if (each.hasChanged && before?.hasChanged === true && before.revision === each.revision)
      fail(asked, `client ${before.asked.client} was told the same revision for another write`);
    if (latest !== undefined && asked.return < latest.call)
      fail(asked, `it had ended before this was asked, which stands before it: ${textOf(latest)}`);
    if (latest === undefined || asked.call > latest.call) latest = asked;
    before = each;
  }
}

/** What each client can see by itself (reliability.md 7.5): nobody's reads go back, and nothing is read that nobody wrote. */
function checkClients(asked: readonly AskedKv[]): void {
  const written = new Set(asked.flatMap(({ request }) => valuesOf(request)));
  const newest = new Map<number, AskedKv>();
  for (const one of [...asked].sort((a, b) => a.call - b.call)) {
    const { reply, request, client } = one;
    if (reply === undefined || reply === 'none' || reply.kind === 'refused') continue;
    for (const { key, value } of shownIn(reply.result))
      if (value.length > 0 && !written.has(fromUtf8(value)))
        fail(one, `${fromUtf8(value)} of ${fromUtf8(key)} is what nobody wrote`);
    if (request.kind === 'read' && request.consistency === 'stale') continue;
    const earlier = newest.get(client);
    if (earlier !== undefined && earlier.return < one.call && revisionOf(earlier.reply) > reply.revision)
      fail(one, `this client had seen revision ${revisionOf(earlier.reply)} before`);
    if (earlier === undefined || reply.revision >= revisionOf(earlier.reply)) newest.set(client, one);
  }
}

function valuesOf(request: KvRequest): string[] {
  if (request.kind !== 'mutate') return [];
  const { mutation } = request;
  const operations = mutation.kind === 'txn' ? [...mutation.success, ...mutation.failure] : [mutation];
  return operations.flatMap((operation) => (operation.kind === 'put' ? [fromUtf8(operation.value)] : []));
}

function shownIn(result: KvResult): readonly KeyValue[] {
  if (result.kind === 'range') return result.kvs;
  if (result.kind === 'put') return result.prev === undefined ? [] : [result.prev];
  if (result.kind === 'delete') return result.prevs;
  return result.kind === 'txn' ? result.results.flatMap(shownIn) : [];
}

function markOf({ session }: Pick<Extract<KvRequest, { kind: 'mutate' }>, 'session'>): string {
  return session === undefined ? '' : `${session.session}/${session.seq}`;
}

function revisionOf(reply: AskedKv['reply']): number {
  return reply !== undefined && reply !== 'none' && reply.kind === 'done' ? reply.revision : 0;
}

function fail(asked: AskedKv, why: string): never {
  throw new Violation(`WITNESS: ${textOf(asked)}: ${why}`);
}

function textOf({ client, call, return: end, request, reply }: AskedKv): string {
  const what = JSON.stringify(request, (_, value: unknown) => (value instanceof Uint8Array ? fromUtf8(value) : value));
  const heard = reply === undefined ? 'unknown' : reply === 'none' ? 'refused' : replyText(reply);
  return `[${call}..${end}] client ${client} ${what} = ${heard}`;
}
