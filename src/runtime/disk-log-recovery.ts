/** What a data directory's log holds, found by reading alone. raft.md 11.5. Opening it for writing is the business of `disk-log-wal.ts`. */
import { equalBytes } from '../base/bytes.ts';
import { NO_INDEX, NO_TERM } from '../model/ids.ts';
import type { ClusterId, LogIndex } from '../model/ids.ts';
import type { Entry, HardState, LogId, RecoveredLog } from '../model/log.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { FormatFault } from '../wire/raft/format-fault.ts';
import type { LogRecord, Retention } from '../wire/raft/record.ts';
import { decodeSegmentHeader, parseSegmentFileName, segmentDraftName } from '../wire/raft/segment.ts';
import type { SegmentHeader } from '../wire/raft/segment.ts';
import { DamagedLogError, IdentityMismatchError } from './disk-errors.ts';
import { readOrDamage } from './disk-files.ts';
import { scanSegment } from './disk-log-scan.ts';
import type { SegmentScan } from './disk-log-scan.ts';
import { LogShape } from './disk-log-shape.ts';
import { chooseSnapshot } from './disk-snapshots.ts';

/** Whose log it is, and where. */
export interface WalPlace {
  readonly walFolder: string;
  readonly snapFolder: string;
  readonly clusterId: ClusterId | undefined;
  /** The first eight bytes of SHA-256 over `id@stamp`. */
  readonly memberHash: Uint8Array;
}

export interface SegmentName {
  readonly name: string;
  readonly segment: number;
  readonly firstIndex: LogIndex;
}

/** A segment as it was read: header and batches, proven. */
export interface ReadSegment extends SegmentName {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly header: SegmentHeader;
  readonly scan: SegmentScan;
}

export interface RecoveredWal {
  readonly log: RecoveredLog;
  /** Those that are kept, oldest first; empty when there never was a log. */
  readonly segments: readonly ReadSegment[];
  /** Older ones, which a compaction meant to remove. */
  readonly leftovers: readonly SegmentName[];
  readonly retention: Retention;
  readonly shape: LogShape;
}

const PACK_BYTES: number = 256 * 1024;

const NO_RETENTION: Retention = { snapshots: [], keepFrom: 1 as LogIndex, oldestSegment: 1 };

/** Changes nothing. Throws {@link DamagedLogError} and {@link IdentityMismatchError}. */
export function recoverWal(disk: DiskPort, place: WalPlace): RecoveredWal {
  const names = listSegments(disk, place);
  const newest = names[names.length - 1];
  if (newest === undefined) return emptyWal();
  const last = readSegment(disk, place, newest, 'last');
  const oldestSegment = retentionOf(last).oldestSegment;
  const leftovers = names.filter(({ segment }) => segment < oldestSegment);
  const kept = names.slice(leftovers.length);
  refuseGaps(disk, place, kept, oldestSegment, last);
  const segments = [...kept.slice(0, -1).map((name) => readSegment(disk, place, name, 'inner')), last];
  refuseBreaks(segments);
  const replay = replaySegments(segments);
  return { ...finish(disk, place, replay, last), segments, leftovers };
}

interface Replay {
  readonly shape: LogShape;
  /** `entries[i]` has index `first + i`. */
  first: number;
  readonly entries: Entry[];
  hardState: HardState;
  commitHint: LogIndex;
  retention: Retention;
}

function emptyWal(): RecoveredWal {
  const log: RecoveredLog = {
    hardState: { term: NO_TERM, vote: null },
    snapshot: undefined,
    entries: [],
    commitHint: NO_INDEX,
    tornTail: undefined,
  };
  return { log, segments: [], leftovers: [], retention: NO_RETENTION, shape: new LogShape(1) };
}

function listSegments(disk: DiskPort, place: WalPlace): SegmentName[] {
  return disk
    .list(place.walFolder)
    .flatMap((name) => {
      const parsed = parseSegmentFileName(name);
      return parsed === undefined ? [] : [{ name, ...parsed }];
    })
    .sort((a, b) => a.segment - b.segment);
}

function readSegment(disk: DiskPort, place: WalPlace, name: SegmentName, position: 'last' | 'inner'): ReadSegment {
  const path = `${place.walFolder}/${name.name}`;
  const bytes = readOrDamage(disk, path);
  if (bytes instanceof DamagedLogError) throw bytes;
  const header = decodeSegmentHeader(bytes);
  if (header === 'newer') throw new IdentityMismatchError(`${path} was written by a newer version of funknode`);
  if (header instanceof FormatFault) throw new DamagedLogError(path, header.offset, header.reason);
  if (header.segment !== name.segment || header.firstIndex !== name.firstIndex) {
    throw new DamagedLogError(path, 0, 'the header belongs to a segment of another name');
  }
  if (!equalBytes(header.memberHash, place.memberHash))
    throw new IdentityMismatchError(`${path} was written by another node`);
  if (header.clusterId !== undefined && header.clusterId !== place.clusterId) {
    throw new IdentityMismatchError(
      `${path} belongs to cluster ${header.clusterId}, the directory to ${place.clusterId ?? 'none'}`,
    );
  }
  return { ...name, path, bytes, header, scan: scanSegment(path, bytes, header, position) };
}

function retentionOf(last: ReadSegment): Retention {
  let retention = last.header.retention;
  for (const { records } of last.scan.batches) {
    for (const record of records) if (record.kind === 'snapshot') retention = record.retention;
  }
  return retention;
}

function refuseGaps(
  disk: DiskPort,
  place: WalPlace,
  kept: readonly SegmentName[],
  oldestSegment: number,
  last: ReadSegment,
): void {
  let expected = oldestSegment;
  for (const { name, segment } of kept) {
    const path = `${place.walFolder}/${name}`;
    if (segment !== expected) throw new DamagedLogError(path, 0, `segment ${expected} before it is missing or doubled`);
    expected += 1;
  }
  // The draft of the next segment is durable before a segment is ended, and becomes that next segment: one of the two is there.
  const draft = `${place.walFolder}/${segmentDraftName(expected)}`;
  if (last.scan.ended && !disk.exists(draft)) {
    throw new DamagedLogError(last.path, last.scan.end, `the log goes on in segment ${expected}, which is missing`);
  }
}

function refuseBreaks(segments: readonly ReadSegment[]): void {
  for (let i = 1; i < segments.length; i++) {
    const before = segments[i - 1] as ReadSegment;
    const { header, path } = segments[i] as ReadSegment;
    if (header.firstSequence !== before.scan.nextSequence || header.prevChain !== before.scan.chain) {
      throw new DamagedLogError(path, 0, 'the segment does not follow the one before it');
    }
  }
}

function replaySegments(segments: readonly ReadSegment[]): Replay {
  const { header } = segments[0] as ReadSegment;
  const replay: Replay = {
    shape: new LogShape(header.firstIndex),
    first: header.firstIndex,
    entries: [],
    hardState: header.hardState,
    commitHint: header.commitHint,
    retention: header.retention,
  };
  for (const { path, header: own, scan } of segments) {
    if (own.hardState.term !== replay.hardState.term || own.hardState.vote !== replay.hardState.vote) {
      throw new DamagedLogError(path, 0, 'the segment header repeats another term or vote than the log before it');
    }
    // A rotation may come between the decision to forget and its record.
    replay.retention = own.retention;
    for (const { offset, records } of scan.batches) {
      for (const record of records) {
        const refusal = replayRecord(replay, record);
        if (refusal !== undefined) throw new DamagedLogError(path, offset, refusal);
      }
    }
  }
  return replay;
}

function replayRecord(replay: Replay, record: LogRecord): string | undefined {
  switch (record.kind) {
    case 'hardState':
      if (record.hardState.term < replay.hardState.term) return 'the term goes back';
      replay.hardState = record.hardState;
      return undefined;
    case 'truncate':
      truncateReplay(replay, record.from);
      return undefined;
    case 'entry': {
      const { entry } = record;
      if (entry.index < replay.shape.next) truncateReplay(replay, entry.index); // Later entries replace earlier ones.
      const refusal = replay.shape.refusalOf(entry.index, entry.term);
      if (refusal !== undefined) return refusal;
      replay.shape.append(entry.index, entry.term);
      replay.entries.push(entry);
      return undefined;
    }
    case 'commit':
      // It may have been known before the entries had come.
      replay.commitHint = Math.max(replay.commitHint, Math.min(record.index, replay.shape.next - 1)) as LogIndex;
      return undefined;
    case 'snapshot':
      replay.retention = record.retention;
      return undefined;
    case 'seal':
    case 'segmentEnd':
      return undefined;
  }
}

function truncateReplay(replay: Replay, from: number): void {
  replay.shape.truncate(from);
  if (from < replay.first) {
    replay.first = from;
    replay.entries.length = 0;
  } else if (from - replay.first < replay.entries.length) replay.entries.length = from - replay.first;
}

function finish(
  disk: DiskPort,
  place: WalPlace,
  replay: Replay,
  last: ReadSegment,
): Pick<RecoveredWal, 'log' | 'retention' | 'shape'> {
  const drop = Math.max(0, replay.retention.keepFrom - replay.first);
  const entries = packed(replay.entries.slice(drop));
  const first = replay.first + Math.min(drop, replay.entries.length);
  const damage = (what: string): DamagedLogError => new DamagedLogError(last.path, last.scan.end, what);
  const { next } = replay.shape;
  const snapshot = chooseSnapshot(disk, place, replay.retention.snapshots, first);
  if (snapshot instanceof DamagedLogError) throw snapshot;
  if (snapshot === undefined && first > 1)
    throw damage(`the log begins at entry ${first}, and no snapshot stands for those before`);
  const snapshotIndex = snapshot?.meta.lastLog.index ?? 0;
  if (next <= snapshotIndex) throw damage(`the log ends at ${next - 1}, before the snapshot at ${snapshotIndex}`);
  if (replay.commitHint >= next)
    throw damage(`entry ${replay.commitHint} was committed, but the log ends at ${next - 1}`);
  const shape = shapeOf(entries, next, snapshot?.meta.lastLog);
  if (shape.tail.term > replay.hardState.term)
    throw damage('the last entry is of a later term than the node has known');
  const retention: Retention =
    snapshot === undefined ? replay.retention : { ...replay.retention, snapshots: snapshot.usable };
  const log: RecoveredLog = {
    hardState: replay.hardState,
    snapshot: snapshot === undefined ? undefined : { meta: snapshot.meta, bytes: snapshot.bytes },
    entries,
    commitHint: replay.commitHint,
    tornTail: tornTailOf(last, shape.tail, replay.hardState),
  };
  return { log, retention, shape };
}

/** Copies the data together, so that a few small entries do not keep whole segments in memory. */
function packed(entries: readonly Entry[]): Entry[] {
  const result: Entry[] = [];
  for (let i = 0; i < entries.length; ) {
    let size = 0;
    let end = i;
    while (end < entries.length && (end === i || size < PACK_BYTES)) size += (entries[end++] as Entry).data.length;
    const pack = new Uint8Array(size);
    for (let at = 0; i < end; i++) {
      const entry = entries[i] as Entry;
      pack.set(entry.data, at);
      result.push({ ...entry, data: pack.subarray(at, at + entry.data.length) });
      at += entry.data.length;
    }
  }
  return result;
}

function shapeOf(entries: readonly Entry[], next: number, snapshot: LogId | undefined): LogShape {
  const first = entries[0]?.index ?? next;
  const shape =
    snapshot !== undefined && snapshot.index === first - 1 ? new LogShape(first, snapshot) : new LogShape(first);
  for (const { index, term } of entries) shape.append(index, term);
  return shape;
}

/** What the dropped write claimed, when that is beyond what is left. A lost header stands for one more entry of the current term. */
function tornTailOf({ scan, header }: ReadSegment, tail: LogId, hardState: HardState): LogId | undefined {
  const claims: LogId[] = header.tornTail === undefined ? [] : [header.tornTail];
  if (scan.torn !== undefined)
    claims.push(scan.torn.claim ?? { term: hardState.term, index: (tail.index + 1) as LogIndex });
  return claims
    .filter((claim) => isBeyond(claim, tail))
    .reduce<LogId | undefined>(
      (most, claim) => (most === undefined || isBeyond(claim, most) ? claim : most),
      undefined,
    );
}

/** Raft §5.4.1: by term, then by index. */
function isBeyond(a: LogId, b: LogId): boolean {
  return a.term > b.term || (a.term === b.term && a.index > b.index);
}
