/** The witness on trial: logs and answers of known verdict, random ones with one answer changed, and beside the search for an order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromUtf8, utf8 } from '../../../src/base/bytes.ts';
import { Kv } from '../../../src/kv/kv.ts';
import type { LogIndex, Term } from '../../../src/model/ids.ts';
import type { KvMutation, KvReply, KvRequest, KvResult, RangeQuery } from '../../../src/model/kv.ts';
import type { KvItem } from '../../../src/wire/kv/batch.ts';
import { Chance } from '../chance.ts';
import { checkLinearizable } from './linearizability.ts';
import { EMPTY_REGISTER, REGISTER, type RegisterOperation } from './register.ts';
import { type AskedKv, judgeByLog, type KvEntry } from './witness.ts';

type Mutate = Extract<KvRequest, { kind: 'mutate' }>;
const NOWHERE = new Uint8Array();
const NEVER = Number.POSITIVE_INFINITY;

const put = (key: string, value: string): KvMutation => ({
  kind: 'put',
  key: utf8(key),
  value: utf8(value),
  prevKv: true,
});
const remove = (key: string): KvMutation => ({ kind: 'delete', key: utf8(key), rangeEnd: NOWHERE, prevKv: true });
const query = (key: string, rangeEnd = ''): RangeQuery => ({
  key: utf8(key),
  rangeEnd: utf8(rangeEnd),
  limit: 0,
  keysOnly: false,
  countOnly: false,
});

/** The product's own state machine writes the log that clients are told of; time passes with every call and every return. */
class Story {
  readonly log: KvEntry[] = [];
  readonly asked: AskedKv[] = [];
  readonly #kv = new Kv();
  readonly #sessions: number[];
  readonly #seqs: number[];
  #clock = 0;

  constructor(clients = 2) {
    this.#sessions = Array.from({ length: clients }, () => {
      const [reply] = this.#apply({ kind: 'openSession' });
      assert(reply?.kind === 'done' && reply.result.kind === 'session');
      return reply.result.session;
    });
    this.#seqs = this.#sessions.map(() => 0);
  }

  /** A call that is open from now on. */
  ask(
    client: number,
    mutation: KvMutation,
  ): { readonly client: number; readonly request: Mutate; readonly call: number } {
    const seq = (this.#seqs[client] as number) + 1;
    this.#seqs[client] = seq;
    const session = { session: this.#sessions[client] as number, seq, ackedBelow: seq };
    return { client, request: { kind: 'mutate', mutation, session }, call: this.#clock++ };
  }

  /** It takes effect. */
  commit({ request }: { readonly request: Mutate }): KvReply {
    return this.#apply({ kind: 'mutate', mutation: request.mutation, session: request.session })[0] as KvReply;
  }

  end(open: ReturnType<Story['ask']>, reply: AskedKv['reply']): void {
    this.asked.push({ ...open, return: reply === undefined ? NEVER : this.#clock++, reply });
  }

  write(client: number, mutation: KvMutation): KvReply {
    const open = this.ask(client, mutation);
    const reply = this.commit(open);
    this.end(open, reply);
    return reply;
  }

  read(client: number, asked: RangeQuery, consistency: 'linearizable' | 'stale' = 'linearizable'): KvReply {
    const call = this.#clock++;
    const reply = this.#kv.range(asked);
    const request: KvRequest = { kind: 'read', query: asked, consistency };
    this.asked.push({ client, request, call, return: this.#clock++, reply });
    return reply;
  }

  /** As if that answer had been another one. */
  change(at: number, change: (asked: AskedKv) => Partial<AskedKv>): void {
    const asked = this.asked[at] as AskedKv;
    this.asked[at] = { ...asked, ...change(asked) };
  }

  judge(): ReturnType<typeof judgeByLog> {
    return judgeByLog(this.log, this.asked);
  }

  #apply(item: KvItem): KvReply[] {
    const index = (this.log.length + 1) as LogIndex;
    const batch = { timeMs: 1_000 + index, items: [item] };
    this.log.push({ index, term: 1, batch });
    return this.#kv.apply(index, 1 as Term, batch);
  }
}

function done(reply: AskedKv['reply']): Extract<KvReply, { kind: 'done' }> {
  assert(reply !== undefined && reply !== 'none' && reply.kind === 'done');
  return reply;
}

function withResult(reply: AskedKv['reply'], result: KvResult): KvReply {
  return { ...done(reply), result };
}

function story(): Story {
  const made = new Story();
  made.write(0, put('a', '1'));
  made.read(1, query('a'));
  made.write(1, put('a', '2'));
  made.write(0, remove('a'));
  made.read(0, query('a', 'z'));
  return made;
}

describe('the witness', () => {
  it('accepts what the log bears out, and says how much that was', () => {
    assert.deepEqual(story().judge(), { compared: 5, happened: 0, vanished: 0 });
  });

  it('finds in the log what became of that which nobody heard of', () => {
    const made = story();
    const lost = made.ask(0, put('b', '3'));
    const late = made.ask(1, put('b', '4'));
    made.end(lost, undefined);
    made.end(late, undefined);
    made.commit(late);
    made.read(0, query('b'));
    assert.deepEqual(made.judge(), { compared: 6, happened: 1, vanished: 1 });
  });

  it('accepts one answer for two tries, of which the log has both', () => {
    const made = new Story();
    const open = made.ask(0, put('a', '1'));
    made.commit(open);
    made.end(open, made.commit(open));
    made.read(1, query('a'));
    assert.equal(made.judge().compared, 2);
  });

  it('accepts an old answer to a read that may be old, and no answer that never was right', () => {
    const made = story();
    const old = made.asked[1]?.reply;
    made.read(0, query('a'), 'stale');
    made.change(5, () => ({ reply: old }));
    assert.equal(made.judge().compared, 6);
    made.change(5, () => ({ reply: { ...done(old), revision: 3 } }));
    assert.throws(() => made.judge(), /WITNESS: .* by the log it is/);
  });

  const LIES: Readonly<
    Record<string, readonly [of: number, change: (asked: AskedKv) => Partial<AskedKv>, says: RegExp]>
  > = {
    'a read of what nobody wrote': [
      1,
      ({ reply }) => {
        const { result } = done(reply);
        assert(result.kind === 'range');
        return { reply: withResult(reply, { ...result, kvs: result.kvs.map((kv) => ({ ...kv, value: utf8('9') })) }) };
      },
      /9 of a is what nobody wrote/,
    ],
    'a read of what was long deleted': [
      4,
      ({ reply }) => ({ reply: { ...done(story().asked[1]?.reply), revision: done(reply).revision } }),
      /by the log it is/,
    ],
    'a client whose reads go back': [4, () => ({ reply: story().asked[1]?.reply }), /had seen revision 4 before/],
    'a read that goes back to before a write of somebody else': [
      4,
      ({ request }) => ({ client: 7, request, reply: { kind: 'done', revision: 1, result: emptyRange() } }),
      /it had ended before this was asked|stands before it/,
    ],
    'a revision that the store never had': [
      4,
      ({ reply }) => ({ reply: { ...done(reply), revision: 9 } }),
      /nothing in the log/,
    ],
    'a write that the log does not have': [
      2,
      ({ request }) => ({ request: { ...(request as Mutate), session: { session: 1, seq: 99, ackedBelow: 1 } } }),
      /nothing in the log/,
    ],
    'a refusal of what took effect': [2, () => ({ reply: 'none' }), /it was refused, and it is in the log/],
    'what was there before, when it was something else': [
      2,
      ({ reply }) => ({ reply: withResult(reply, { kind: 'put', prev: undefined }) }),
      /by the log it is/,
    ],
    'another number of deleted keys': [
      3,
      ({ reply }) => ({ reply: withResult(reply, { kind: 'delete', deleted: 2, prevs: [] }) }),
      /by the log it is/,
    ],
  };

  for (const [what, [of, change, says]] of Object.entries(LIES))
    it(`refuses ${what}`, () => {
      const made = story();
      made.change(of, change);
      assert.throws(() => made.judge(), says);
    });

  it('refuses an effect that comes before it was asked for', () => {
    const made = new Story();
    const open = made.ask(0, put('a', '1'));
    made.commit(open);
    made.read(1, query('a'));
    made.end({ ...open, call: 90 }, undefined);
    assert.throws(() => made.judge(), /it had ended before this was asked/);
  });

  it('refuses a second effect of one request, and two writes of one revision', () => {
    const made = new Story();
    const open = made.ask(0, put('a', '1'));
    made.end(open, made.commit(open));
    // The session is opened again in the log: its memory of what it was answered is gone.
    made.log.push(...made.log.slice(0, 1), ...made.log.slice(-1));
    assert.throws(() => made.judge(), /I-23: request .* takes effect again/);
    const twice = story();
    twice.asked.push({ ...(twice.asked[2] as AskedKv), client: 8 });
    assert.throws(() => twice.judge(), /was told the same revision for another write/);
  });

  it('accepts 2,000 random stories of many clients, and none of them with one answer changed', () => {
    const chance = new Chance(5, 'witness');
    let changed = 0;
    for (let i = 0; i < 2_000; i++) {
      const made = randomStory(chance, 4 + chance.below(10));
      made.judge();
      const at = chance.below(made.asked.length);
      const { reply, request } = made.asked[at] as AskedKv;
      if (reply === undefined || reply === 'none') continue;
      const revision = done(reply).revision + (chance.isHit(0.5) ? 1 : -1);
      made.change(at, () => ({ reply: { ...done(reply), revision } }));
      // Between two reads of one answer nothing may have been written that the client could tell.
      if (request.kind === 'read') continue;
      changed += 1;
      assert.throws(() => made.judge(), /WITNESS/);
    }
    assert.ok(changed > 500);
  });

  it('accepts nothing that the search for an order refuses, and refuses what it must: 10,000 random small histories', () => {
    const chance = new Chance(6, 'both engines');
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      const made = randomStory(chance, 2 + chance.below(5));
      const at = chance.below(made.asked.length);
      // Another's answer, which is right for some other place.
      const other = made.asked[chance.below(made.asked.length)] as AskedKv;
      const own = made.asked[at] as AskedKv;
      if (other.request.kind === 'read' && own.request.kind === 'read' && other.reply !== undefined)
        made.change(at, () => ({ reply: other.reply }));
      const isBorneOut = bears(made);
      const verdict = checkLinearizable(REGISTER, made.asked.flatMap(registerOperation)).kind;
      if (isBorneOut) assert.equal(verdict, 'linearizable', JSON.stringify(made.asked));
      else refused += 1;
    }
    assert.ok(refused > 100, `${refused} were refused`);
  });

  it('judges 10,000 operations of 10 clients at once', (t) => {
    const made = randomStory(new Chance(7, 'long'), 18_000, 10);
    const begin = process.cpuUsage().user;
    assert.ok(made.asked.length > 10_000 && made.judge().compared > 9_000);
    t.diagnostic(`${((process.cpuUsage().user - begin) / 1e6).toFixed(2)} s of CPU`);
  });
});

function emptyRange(): Extract<KvResult, { kind: 'range' }> {
  return { kind: 'range', kvs: [], more: false, count: 0 };
}

function bears(made: Story): boolean {
  try {
    made.judge();
    return true;
  } catch (error) {
    assert.match((error as Error).message, /WITNESS/);
    return false;
  }
}

/** One key; calls that are open at once, some of which nobody hears of. */
function randomStory(chance: Chance, operations: number, clients = 3): Story {
  const made = new Story(clients);
  const open = new Map<number, ReturnType<Story['ask']>>();
  for (let i = 0; i < operations; i++) {
    const client = chance.below(clients);
    const waiting = open.get(client);
    if (waiting === undefined && chance.isHit(0.4)) made.read(client, query('k'));
    else if (waiting === undefined) open.set(client, made.ask(client, put('k', String(i + 1))));
    else {
      open.delete(client);
      const isLost = chance.isHit(0.1);
      const reply = isLost && chance.isHit(0.5) ? undefined : made.commit(waiting);
      made.end(waiting, isLost ? undefined : reply);
    }
  }
  for (const waiting of open.values()) made.end(waiting, undefined);
  if (made.asked.length === 0) made.read(0, query('k'));
  return made;
}

function registerOperation({ client, call, return: end, request, reply }: AskedKv): RegisterOperation[] {
  if (request.kind === 'read') {
    const { result } = done(reply);
    const [kv] = result.kind === 'range' ? result.kvs : [];
    const output = kv === undefined ? EMPTY_REGISTER : Number(fromUtf8(kv.value));
    return [{ client, call, return: end, input: { kind: 'read', key: 'k' }, output }];
  }
  if (request.kind !== 'mutate' || request.mutation.kind !== 'put') return [];
  const value = Number(fromUtf8(request.mutation.value));
  const input = { kind: 'write', key: 'k', value } as const;
  return [{ client, call, return: end, input, output: reply === undefined ? undefined : value }];
}
