/**
 * Log entries and configurations as bytes. The write-ahead log, the peer protocol and snapshots share these forms, and logs outlive
 * programs: numbers are only ever added. raft.md section 2.
 */
import { assert, present } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';
import { isMemberId } from '../../model/ids.ts';
import type { LogIndex, MemberId, Term } from '../../model/ids.ts';
import type { Configuration, Entry, EntryKind, LogId } from '../../model/log.ts';

/** A command of 2 MiB and its envelope fit; nothing in the house makes a larger one. raft.md section 15. */
export const ENTRY_DATA_BYTES_MAX: number = 4 * 1024 * 1024;
/** Per list of a configuration. Seven voters and four learners are what we recommend; this only bounds hostile bytes. */
export const CONFIGURATION_MEMBERS_MAX = 64;
/** `id@stamp`: 64 + 1 + 16 bytes. */
const MEMBER_ID_BYTES_MAX = 81;
const CONFIGURATION_FORMAT = 1;

/** Append-only: a number once given keeps its meaning for ever. */
const KIND_NUMBERS: Readonly<Record<EntryKind, number>> = { noop: 1, command: 2, config: 3 };
const KINDS_BY_NUMBER: ReadonlyMap<number, EntryKind> = new Map(
  (Object.keys(KIND_NUMBERS) as EntryKind[]).map((kind) => [KIND_NUMBERS[kind], kind]),
);

/** Appends `index term kind data` to `writer`. */
export function writeEntry(writer: ByteWriter, entry: Entry): void {
  assert(entry.data.length <= ENTRY_DATA_BYTES_MAX, 'an entry is within its size limit');
  writer.varint(entry.index).varint(entry.term);
  writer.u8(present(KIND_NUMBERS[entry.kind], 'every entry kind has a number')).blob(entry.data);
}

/**
 * Reads what {@link writeEntry} wrote; throws `DecodeError`. The data is a view of the reader's memory. A `config` entry is accepted
 * only when its data is a valid configuration, so that later readers may rely on it.
 */
export function readEntry(reader: ByteReader): Entry {
  const index = reader.varint() as LogIndex;
  const term = reader.varint() as Term;
  if (index === 0 || term === 0) throw new DecodeError('an entry has neither index 0 nor term 0');
  const number = reader.u8();
  const kind = KINDS_BY_NUMBER.get(number);
  if (kind === undefined) throw new DecodeError(`entry kind ${number} is unknown`);
  const data = reader.blob(ENTRY_DATA_BYTES_MAX);
  if (kind === 'config') decodeConfiguration(data);
  return { index, term, kind, data };
}

/** The bytes {@link writeEntry} would add, give or take a few; for batching by size. */
export function entrySize(entry: Entry): number {
  return entry.data.length + 16;
}

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const writer = new ByteWriter(256).u8(CONFIGURATION_FORMAT);
  for (const members of listsOf(configuration)) {
    assert(members.length <= CONFIGURATION_MEMBERS_MAX, 'a configuration list is within its limit');
    writer.varint(members.length);
    for (const member of members) writer.text(member);
  }
  return writer.bool(configuration.autoLeave).finish();
}

/** Throws `DecodeError` unless the bytes are one valid configuration and nothing else. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== CONFIGURATION_FORMAT) throw new DecodeError(`configuration format ${format} is unknown`);
  const voters = readMembers(reader);
  const votersOutgoing = readMembers(reader);
  const learners = readMembers(reader);
  const learnersNext = readMembers(reader);
  const autoLeave = reader.bool();
  reader.end();
  if (voters.length === 0) throw new DecodeError('a configuration has at least one voter');
  const voting = new Set<string>([...voters, ...votersOutgoing]);
  if (learners.some((member) => voting.has(member))) throw new DecodeError('a learner is not a voter as well');
  const outgoing = new Set<string>(votersOutgoing);
  if (learnersNext.some((member) => !outgoing.has(member)))
    throw new DecodeError('a coming learner is an outgoing voter');
  return { voters, votersOutgoing, learners, learnersNext, autoLeave };
}

export function writeLogId(writer: ByteWriter, id: LogId): void {
  writer.varint(id.term).varint(id.index);
}

export function readLogId(reader: ByteReader): LogId {
  const term = reader.varint() as Term;
  const index = reader.varint() as LogIndex;
  return { term, index };
}

/** Sorted, without duplicates, each a member id; anything else is refused rather than repaired. */
function readMembers(reader: ByteReader): MemberId[] {
  const count = reader.varint();
  if (count > CONFIGURATION_MEMBERS_MAX) throw new DecodeError(`a configuration list has ${count} members`);
  const members: MemberId[] = [];
  let previous = '';
  for (let i = 0; i < count; i++) {
    const text = reader.text(MEMBER_ID_BYTES_MAX);
    if (!isMemberId(text)) throw new DecodeError('a configuration holds member ids only');
    if (i > 0 && text <= previous) throw new DecodeError('a configuration list is sorted and free of duplicates');
    members.push(text);
    previous = text;
  }
  return members;
}

function listsOf(configuration: Configuration): readonly (readonly MemberId[])[] {
  return [configuration.voters, configuration.votersOutgoing, configuration.learners, configuration.learnersNext];
}
