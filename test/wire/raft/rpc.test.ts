import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter, utf8 } from '../../../src/base/bytes.ts';
import { DecodeError } from '../../../src/base/errors.ts';
import { memberId } from '../../../src/model/ids.ts';
import type { LogIndex, MemberId, NodeId, Stamp, Term } from '../../../src/model/ids.ts';
import type { Configuration, Entry, LogId } from '../../../src/model/log.ts';
import { decodeConfiguration, encodeConfiguration, readEntry, writeEntry } from '../../../src/wire/raft/entry.ts';
import { decodeRaftMessage, encodeRaftMessage } from '../../../src/wire/raft/rpc.ts';
import type { RaftMessage } from '../../../src/wire/raft/rpc.ts';

const term: fc.Arbitrary<Term> = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map((value) => value as Term);
const index: fc.Arbitrary<LogIndex> = fc.maxSafeNat().map((value) => value as LogIndex);
const logId: fc.Arbitrary<LogId> = fc.record({ term, index });
const member: fc.Arbitrary<MemberId> = fc
  .tuple(fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/), fc.stringMatching(/^[0-9a-f]{16}$/))
  .map(([id, stamp]) => memberId(id as NodeId, stamp as Stamp));

const configuration: fc.Arbitrary<Configuration> = fc
  .record({
    members: fc.uniqueArray(member, { minLength: 3, maxLength: 9 }),
    outgoing: fc.boolean(),
    autoLeave: fc.boolean(),
  })
  .map(({ members, outgoing, autoLeave }) => {
    const third = Math.floor(members.length / 3);
    const voters = members.slice(0, third).sort();
    const learners = members.slice(third, 2 * third).sort();
    const votersOutgoing = outgoing ? [...voters.slice(1), ...members.slice(2 * third)].sort() : [];
    return { voters, votersOutgoing, learners, learnersNext: votersOutgoing.slice(0, 1), autoLeave };
  });

const data: fc.Arbitrary<Pick<Entry, 'kind' | 'data'>> = fc.oneof(
  fc.record({ kind: fc.constantFrom('noop' as const, 'command' as const), data: fc.uint8Array({ maxLength: 40 }) }),
  configuration.map((value) => ({ kind: 'config' as const, data: encodeConfiguration(value) })),
);

const append: fc.Arbitrary<RaftMessage> = fc
  .record({
    first: fc.integer({ min: 0, max: 1_000_000 }),
    terms: fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 6 }).map((terms) => terms.sort((a, b) => a - b)),
    datas: fc.array(data, { minLength: 6, maxLength: 6 }),
    commit: index,
    readSeq: fc.maxSafeNat(),
    cancelledTransfers: fc.nat(),
  })
  .map(({ first, terms, datas, commit, readSeq, cancelledTransfers }) => ({
    kind: 'appendReq',
    term: 60 as Term,
    prev: { term: 1 as Term, index: first as LogIndex },
    entries: terms.map((value, i) => ({
      ...(datas[i] ?? { kind: 'noop', data: new Uint8Array(0) }),
      term: value as Term,
      index: (first + 1 + i) as LogIndex,
    })),
    commit,
    readSeq,
    cancelledTransfers,
  }));

const number: fc.Arbitrary<number> = fc.maxSafeNat();
const reason: fc.Arbitrary<string> = fc.string({ maxLength: 60 });
const message: fc.Arbitrary<RaftMessage> = fc.oneof(
  append,
  fc.record({ kind: fc.constant('preVoteReq' as const), term, nextTerm: term, lastLog: logId }),
  fc.record({ kind: fc.constant('preVoteResp' as const), term, nextTerm: term, granted: fc.boolean(), reason }),
  fc.record({ kind: fc.constant('voteReq' as const), term, lastLog: logId, transferSeq: number }),
  fc.record({ kind: fc.constant('voteResp' as const), term, granted: fc.boolean(), reason }),
  fc.record({ kind: fc.constant('appendOk' as const), term, match: index, readSeq: number }),
  fc.record({ kind: fc.constant('appendRejected' as const), term, rejectedPrev: index, hint: logId, readSeq: number }),
  fc.record({
    kind: fc.constant('heartbeat' as const),
    term,
    commit: index,
    readSeq: number,
    cancelledTransfers: number,
  }),
  fc.record({ kind: fc.constant('heartbeatResp' as const), term, readSeq: number, durableLast: index }),
  fc.record({ kind: fc.constant('timeoutNow' as const), term, transferSeq: number }),
  fc.record({ kind: fc.constant('readIndexReq' as const), term, id: number }),
  fc.record({ kind: fc.constant('readIndexResp' as const), term, id: number, index, ok: fc.boolean() }),
);

function decoded(bytes: Uint8Array): RaftMessage {
  const result = decodeRaftMessage(bytes);
  assert.ok(!(result instanceof DecodeError), String(result));
  return result;
}

describe('Raft messages as bytes', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(message, (value) => {
        const back = decoded(encodeRaftMessage(value));
        assert.deepEqual(JSON.parse(JSON.stringify(back)), JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 500 },
    );
  });

  it('keep their numbers for ever', () => {
    const heartbeat = {
      kind: 'heartbeat',
      term: 5 as Term,
      commit: 300 as LogIndex,
      readSeq: 7,
      cancelledTransfers: 0,
    } as const;
    assert.equal(Buffer.from(encodeRaftMessage(heartbeat)).toString('hex'), '010805ac020700');
    const entries = [{ index: 9 as LogIndex, term: 4 as Term, kind: 'command' as const, data: utf8('hi') }];
    const prev = { term: 3 as Term, index: 8 as LogIndex };
    const request = {
      kind: 'appendReq',
      term: 4 as Term,
      prev,
      entries,
      commit: 8 as LogIndex,
      readSeq: 1,
      cancelledTransfers: 2,
    } as const;
    assert.equal(Buffer.from(encodeRaftMessage(request)).toString('hex'), '010504030808010201090402026869');
  });

  it('a heartbeat is tiny', () => {
    const heartbeat = {
      kind: 'heartbeat',
      term: 40 as Term,
      commit: 1e9 as LogIndex,
      readSeq: 1e6,
      cancelledTransfers: 0,
    } as const;
    assert.ok(encodeRaftMessage(heartbeat).length <= 16);
  });

  it('cut short, lengthened or changed in a byte, are refused or mean something valid, and never throw', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(255), fc.nat(), (value, where, byte, cut) => {
        const bytes = encodeRaftMessage(value);
        assert.ok(decodeRaftMessage(bytes.subarray(0, cut % bytes.length)) instanceof DecodeError);
        assert.ok(decodeRaftMessage(new Uint8Array([...bytes, byte])) instanceof DecodeError);
        const changed = bytes.slice();
        changed[where % bytes.length] = byte;
        const result = decodeRaftMessage(changed);
        if (!(result instanceof DecodeError)) encodeRaftMessage(result);
      }),
      { numRuns: 1_000 },
    );
  });

  it('random bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 13 }), (bytes, kind) => {
        decodeRaftMessage(bytes);
        decodeRaftMessage(new Uint8Array([1, kind, ...bytes]));
      }),
      { numRuns: 2_000 },
    );
  });

  it('refuses appends with gaps, falling terms, or terms above the sender’s', () => {
    const good = { index: 9 as LogIndex, term: 4 as Term, kind: 'command' as const, data: utf8('x') };
    const refused = (entries: readonly Entry[], sender = 4): void => {
      const prev = { term: 3 as Term, index: 8 as LogIndex };
      const bytes = encodeRaftMessage({
        kind: 'appendReq',
        term: sender as Term,
        prev,
        entries,
        commit: 0 as LogIndex,
        readSeq: 0,
        cancelledTransfers: 0,
      });
      assert.ok(decodeRaftMessage(bytes) instanceof DecodeError);
    };
    refused([{ ...good, index: 10 as LogIndex }]);
    refused([good, { ...good, index: 11 as LogIndex }]);
    refused([{ ...good, term: 2 as Term }]);
    refused([good], 3);
    refused([{ ...good, kind: 'config' }]);
  });
});

describe('entries and configurations as bytes', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(configuration, data, term, (value, what, itsTerm) => {
        assert.deepEqual(decodeConfiguration(encodeConfiguration(value)), value);
        const entry: Entry = { ...what, term: itsTerm, index: 7 as LogIndex };
        const writer = new ByteWriter();
        writeEntry(writer, entry);
        const back = readEntry(new ByteReader(writer.finish()));
        assert.deepEqual({ ...back, data: [...back.data] }, { ...entry, data: [...entry.data] });
      }),
    );
  });

  it('refuses configurations that are empty, unsorted, doubled, contradictory or name no members', () => {
    const [a, b] = [memberId('a' as NodeId, '0'.repeat(16) as Stamp), memberId('b' as NodeId, '0'.repeat(16) as Stamp)];
    const empty: Configuration = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
    const bad: readonly Configuration[] = [
      empty,
      { ...empty, voters: [b, a] },
      { ...empty, voters: [a, a] },
      { ...empty, voters: [a], learners: [a] },
      { ...empty, voters: [a], votersOutgoing: [b], learners: [b] },
      { ...empty, voters: [a], learnersNext: [b] },
      { ...empty, voters: ['nobody' as MemberId] },
    ];
    for (const value of bad) assert.throws(() => decodeConfiguration(encodeConfiguration(value)), DecodeError);
    assert.throws(() => decodeConfiguration(new Uint8Array([9])), DecodeError);
  });
});
