import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DecodeError } from '../../src/base/errors.ts';
import { randomBelow, SeededRandom } from '../../src/base/random.ts';
import type { ClusterId, LogIndex, MemberId, NodeId, Term } from '../../src/model/ids.ts';
import { EMPTY_CONFIGURATION, type Entry } from '../../src/model/log.ts';
import { type Command, decodeCommand, encodeCommand } from '../../src/wire/command/command.ts';
import {
  decodePeerFrame,
  encodePeerFrame,
  type PeerFrame,
  type PeerMessage,
} from '../../src/wire/peer/peer-message.ts';

const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
const FROM = 'n1@0123456789abcdef' as MemberId;
const TO = 'n2@fedcba9876543210' as MemberId;
const MUTATIONS = 20_000;

function entry(index: number): Entry {
  return { index: index as LogIndex, term: 3 as Term, kind: 'command', data: Uint8Array.of(1, 2, index) };
}

const META = {
  clusterId: CLUSTER,
  lastLog: { term: 3 as Term, index: 7 as LogIndex },
  configuration: { ...EMPTY_CONFIGURATION, voters: [FROM], learners: [TO] },
  configurationIndex: 5 as LogIndex,
};

const MESSAGES: readonly PeerMessage[] = [
  { kind: 'raft', bytes: Uint8Array.of(9, 8, 7) },
  { kind: 'lease', bytes: Uint8Array.of(1), relayFor: undefined },
  { kind: 'lease', bytes: Uint8Array.of(1, 2), relayFor: 'n9' as NodeId },
  { kind: 'follow', appliedIndex: 12 as LogIndex },
  {
    kind: 'followEntries',
    leader: 'n1' as NodeId,
    term: 3 as Term,
    commitIndex: 9 as LogIndex,
    entries: [entry(8), entry(9)],
  },
  { kind: 'followEntries', leader: undefined, term: 0 as Term, commitIndex: 0 as LogIndex, entries: [] },
  { kind: 'snapshotChunk', forRaft: true, term: 3 as Term, meta: META, offset: 4, size: 9, bytes: Uint8Array.of(5, 6) },
  { kind: 'snapshotAck', index: 7 as LogIndex, offset: 9 },
  { kind: 'request', id: 4, ask: 'retire' },
  { kind: 'request', id: 0, ask: 'describe' },
  { kind: 'response', id: 4, answer: { kind: 'done' } },
  { kind: 'response', id: 4, answer: { kind: 'refused', reason: 'does not lead', leader: 'n3' as NodeId } },
  { kind: 'response', id: 0, answer: { kind: 'description', clusterId: CLUSTER, voters: 3, isEmpty: true } },
  { kind: 'response', id: 0, answer: { kind: 'description', clusterId: undefined, voters: 0, isEmpty: true } },
];

const COMMANDS: readonly Command[] = [
  { kind: 'found', clusterName: 'demo', createdMs: 1_790_000_000_000, shardCount: 10_000 },
  { kind: 'shard', bytes: Uint8Array.of(1, 2, 3) },
  { kind: 'exclude', member: FROM },
  { kind: 'include', member: TO },
];

/** Flips, cuts and fills; whatever comes out is what some peer might send. */
function mutate(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const copy = bytes.slice(0, randomBelow(random, 3) === 0 ? randomBelow(random, bytes.length + 1) : bytes.length);
  for (let i = randomBelow(random, 4); i > 0 && copy.length > 0; i--) {
    copy[randomBelow(random, copy.length)] = randomBelow(random, 256);
  }
  return copy;
}

function surviveMutations(samples: readonly Uint8Array[], decode: (bytes: Uint8Array) => unknown): number {
  const random = new SeededRandom(20261121);
  let refused = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const bytes = mutate(samples[i % samples.length] as Uint8Array, random);
    try {
      decode(bytes);
    } catch (error) {
      assert.ok(error instanceof DecodeError, `only DecodeError leaves the codec, not ${String(error)}`);
      refused += 1;
    }
  }
  return refused;
}

describe('frames between nodes', () => {
  it('come back as they were sent', () => {
    for (const message of MESSAGES) {
      for (const clusterId of [CLUSTER, undefined]) {
        const frame: PeerFrame = { clusterId, from: FROM, to: TO, message };
        assert.deepEqual(decodePeerFrame(encodePeerFrame(frame)), frame, message.kind);
      }
    }
  });

  it('are refused when anything is missing, left over, or of another version', () => {
    for (const message of MESSAGES) {
      const bytes = encodePeerFrame({ clusterId: CLUSTER, from: FROM, to: TO, message });
      assert.throws(() => decodePeerFrame(bytes.subarray(0, -1)), DecodeError, message.kind);
      assert.throws(() => decodePeerFrame(Uint8Array.of(...bytes, 0)), DecodeError, message.kind);
      assert.throws(() => decodePeerFrame(Uint8Array.of(2, ...bytes.subarray(1))), DecodeError, message.kind);
    }
  });

  it('end in a frame or a DecodeError, 20,000 mutations of real ones', (t) => {
    const samples = MESSAGES.map((message) => encodePeerFrame({ clusterId: CLUSTER, from: FROM, to: TO, message }));
    const refused = surviveMutations(samples, decodePeerFrame);
    t.diagnostic(`${refused} of ${MUTATIONS} refused`);
    assert.ok(refused > MUTATIONS / 10);
  });
});

describe('commands of the log', () => {
  it('come back as they were written, under their own numbers for ever', () => {
    for (const [at, command] of COMMANDS.entries()) {
      const bytes = encodeCommand(command);
      assert.equal(bytes[0], at + 1);
      assert.deepEqual(decodeCommand(bytes), command);
    }
  });

  it('end in a command or a DecodeError, 20,000 mutations of real ones', () => {
    assert.ok(surviveMutations(COMMANDS.map(encodeCommand), decodeCommand) > 0);
  });
});
