/** How segment files come into being: drafted full of zeros, given a header, renamed. raft.md 11.2, 11.7. */
import { assert, present } from '../base/assert.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import type { DiskFile, DiskPort } from '../ports/disk-port.ts';
import { ALIGN_BYTES } from '../wire/raft/batch.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentDraftName, segmentFileName } from '../wire/raft/segment.ts';
import type { SegmentHeader } from '../wire/raft/segment.ts';
import { DiskFailedError, isDiskFull } from './disk-errors.ts';
import { writeDraft, writeFully } from './disk-files.ts';
import type { ReadSegment, SegmentName } from './disk-log-recovery.ts';

/** Written and synced at once while batches may be waiting: well below a millisecond on a good disk. */
const SLICE_BYTES: number = 128 * 1024;
const ZEROS: Uint8Array = new Uint8Array(SLICE_BYTES);
/**
 * Of a segment, kept for terms and votes when no other can be made: 1 MiB of the 16 (raft.md 11.6), more of smaller ones, for they may have
 * to last as long.
 */
const RESERVE_PART: number = 1 / 16;
const RESERVE_BYTES_MIN: number = 128 * 1024;
const RESERVE_PART_MAX: number = 1 / 4;
/** From here on entries are refused where they come from: those on their way still fit above the reserve. */
const FULL_RESERVES = 2;
/** What is made when there is no room for a whole one. */
const SMALL_SEGMENT_BYTES: number = 1024 * 1024;
/** Of the size of a segment, left to others on the device. */
const LEFT_FREE_PART: number = 1 / 16;
/** Looks at the device that pass between two tries that failed although it seemed to have room, at most: a quota, say. */
const LOOKS_PASSED_MAX = 64;

/** Synced zeros under a draft name, itself durable. */
interface SegmentDraft {
  readonly segment: number;
  readonly size: number;
  readonly file: DiskFile;
}

/** Runs a job of slices to its end. */
function finishJob<T>(job: Generator<void, T>): T {
  let step = job.next();
  while (step.done !== true) step = job.next();
  return step.value;
}

/** The segment that is written to, and the spare that stands by. */
export class SegmentFiles {
  readonly #disk: DiskPort;
  readonly #folder: string;
  readonly #segmentBytes: number;
  #active: { readonly file: DiskFile; readonly size: number; readonly segment: number } | undefined;
  #offset = 0;
  #spare: SegmentDraft | undefined;
  #spareJob: Generator<void, SegmentDraft | undefined> | undefined;
  /** No spare could be made for want of room. */
  #isShort = false;
  /** There seems to be room again. */
  #mayTry = false;
  #looksPassed = 0;
  #looksToPass = 1;

  constructor(disk: DiskPort, folder: string, segmentBytes: number) {
    this.#disk = disk;
    this.#folder = folder;
    this.#segmentBytes = roundUp(segmentBytes);
  }

  /** The number of the active segment; 0 before there is one. */
  get segment(): number {
    return this.#active?.segment ?? 0;
  }

  /** The active segment fills up, and no spare stands by. */
  get wantsSpare(): boolean {
    return this.#spare === undefined && (this.#isShort ? this.#mayTry : this.#isFilledTo(1 / 4));
  }

  /** Room is short: the spare should be made even though batches are waiting. */
  get needsSpare(): boolean {
    return this.#spare === undefined && (this.#isShort ? this.#mayTry : this.#isFilledTo(1 / 2));
  }

  get room(): StorageRoom {
    if (!this.#isShort) return 'enough';
    return this.#left <= FULL_RESERVES * this.#reserve ? 'full' : 'low';
  }

  /** One slot stays free for the batch that ends the segment. */
  hasRoomFor(size: number): boolean {
    return this.#offset + size + ALIGN_BYTES <= (this.#active?.size ?? 0);
  }

  /**
   * Whether a batch can be written, in what is left of the segment or after a change to the next, which is made ready. What is not
   * essential keeps off the reserve when there is no next one. Throws only what is final.
   */
  admits(size: number, importance: 'essential' | 'other'): boolean {
    const kept = this.#isShort && importance === 'other' ? this.#reserve : 0;
    return this.hasRoomFor(size + kept) || this.tryReadySpare(size);
  }

  /** False when there is no room for one on the device, or was none at the last look. */
  tryReadySpare(size: number): boolean {
    if (this.#isShort && !this.#mayTry) return false;
    try {
      this.readySpare(size);
      return true;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#fallShort();
      return false;
    }
  }

  /** Looks whether there is room again for a spare; the owner calls it about every second while room is short. */
  lookForRoom(): void {
    if (!this.#isShort || !this.#hasFree(this.#smallBytes)) return;
    this.#looksPassed += 1;
    if (this.#looksPassed < this.#looksToPass) return;
    this.#looksPassed = 0;
    this.#looksToPass = Math.min(this.#looksToPass * 2, LOOKS_PASSED_MAX);
    this.#mayTry = true;
  }

  /** One write, one sync. */
  append(bytes: Uint8Array): void {
    const active = present(this.#active, 'a segment is open before it is written to');
    assert(this.#offset + bytes.length <= active.size, 'a batch fits its segment');
    writeFully(active.file, bytes, this.#offset);
    active.file.sync();
    this.#offset += bytes.length;
  }

  /** Makes the spare, durable under its draft name, with room for a batch of `size`. What it does here holds up the batch. */
  readySpare(size: number, spareBytes: number = this.#fittingBytes): void {
    if (this.#spareJob !== undefined) this.#keepSpare(finishJob(this.#spareJob));
    const wanted = roundUp(SEGMENT_HEADER_BYTES + size + 2 * ALIGN_BYTES);
    if (this.#spare !== undefined && this.#spare.size < wanted) {
      this.#spare.file.close();
      this.#spare = undefined;
    }
    if (this.#spare !== undefined) return;
    const fileSize = Math.max(roundUp(spareBytes), wanted);
    this.#refuseWithoutRoom(fileSize);
    // Someone waits for all of it.
    const wholly = { size: fileSize, sync: 'once' } as const;
    this.#keepSpare(finishJob(draftSegment(this.#disk, this.#folder, this.segment + 1, wholly)));
  }

  /** One slice of making a spare. A full disk is no failure yet: the active segment still has room. */
  workOnSpare(): void {
    if (this.#spare !== undefined) return;
    try {
      this.#spareJob ??= this.#draftSlices();
      const step = this.#spareJob.next();
      if (step.done !== true) return;
      this.#keepSpare(step.value);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#fallShort();
    }
  }

  /** Gives the spare its header and name. This is the commit point of a rotation and of an install. */
  publishSpare(header: SegmentHeader): SegmentName {
    const spare = present(this.#spare, 'a spare is ready before it is published');
    assert(header.segment === spare.segment, 'a spare becomes the segment it was drafted for');
    const name = segmentFileName(header.segment, header.firstIndex);
    writeDraft(spare.file, encodeSegmentHeader(header), 0);
    spare.file.sync();
    this.#disk.rename(`${this.#folder}/${segmentDraftName(spare.segment)}`, `${this.#folder}/${name}`);
    spare.file.path = `${this.#folder}/${name}`;
    this.#disk.syncFolder(this.#folder);
    this.#active?.file.close();
    this.#active = spare;
    this.#offset = SEGMENT_HEADER_BYTES;
    this.#spare = undefined;
    return { name, segment: header.segment, firstIndex: header.firstIndex };
  }

  /** Goes on in a segment that was read. */
  reopen(segment: ReadSegment, tornTail: SegmentHeader['tornTail'], roomBytes: number): void {
    const size = roundUp(segment.scan.end + roomBytes);
    const file = rewriteSegment(this.#disk, this.#folder, segment, { size, tornTail });
    this.#active = { file, size, segment: segment.segment };
    this.#offset = segment.scan.end;
  }

  close(): void {
    this.#active?.file.close();
    this.#spare?.file.close();
    this.#spareJob?.return(undefined);
    this.#active = undefined;
    this.#spare = undefined;
    this.#spareJob = undefined;
  }

  get #left(): number {
    return (this.#active?.size ?? 0) - this.#offset;
  }

  get #reserve(): number {
    const size = this.#active?.size ?? 0;
    return Math.min(Math.max(size * RESERVE_PART, RESERVE_BYTES_MIN), size * RESERVE_PART_MAX);
  }

  #isFilledTo(part: number): boolean {
    return this.#offset >= (this.#active?.size ?? 0) * part;
  }

  #draftSlices(): Generator<void, SegmentDraft> {
    const size = this.#fittingBytes;
    this.#refuseWithoutRoom(size);
    return draftSegment(this.#disk, this.#folder, this.segment + 1, { size, sync: 'slices' });
  }

  #keepSpare(spare: SegmentDraft | undefined): void {
    this.#spare = spare;
    this.#spareJob = undefined;
    this.#isShort = false;
    this.#mayTry = false;
    this.#looksToPass = 1;
  }

  /** Gives back what a spare that could not be finished has taken. */
  #fallShort(): void {
    this.#isShort = true;
    this.#mayTry = false;
    this.#spareJob = undefined;
    const draft = `${this.#folder}/${segmentDraftName(this.segment + 1)}`;
    if (this.#disk.exists(draft)) this.#disk.remove(draft);
  }

  /** Before a byte is written: filling the device to its brim would only harm whoever else is on it. */
  #refuseWithoutRoom(size: number): void {
    if (!this.#hasFree(size)) throw new DiskFailedError('creating a segment', this.#folder, 'ENOSPC');
  }

  get #smallBytes(): number {
    return Math.min(SMALL_SEGMENT_BYTES, this.#segmentBytes);
  }

  get #fittingBytes(): number {
    return this.#hasFree(this.#segmentBytes) ? this.#segmentBytes : this.#smallBytes;
  }

  #hasFree(size: number): boolean {
    const free = this.#disk.freeBytes(this.#folder);
    return free === undefined || free >= size * (1 + LEFT_FREE_PART);
  }
}

/**
 * Yields between slices. Filling makes later syncs free of changes to the file's metadata: p50 0.09 ms instead of 0.15. A job that is
 * given up closes its file; the draft stays until the next start.
 */
function* draftSegment(
  disk: DiskPort,
  folder: string,
  segment: number,
  { size, sync }: { readonly size: number; readonly sync: 'once' | 'slices' },
): Generator<void, SegmentDraft> {
  const file = disk.create(`${folder}/${segmentDraftName(segment)}`);
  let isDone = false;
  try {
    for (let at = 0; at < size; at += SLICE_BYTES) {
      writeDraft(file, ZEROS.subarray(0, Math.min(SLICE_BYTES, size - at)), at);
      if (sync === 'once') continue;
      file.sync();
      yield;
    }
    file.sync();
    disk.syncFolder(folder);
    isDone = true;
    return { segment, size, file };
  } finally {
    if (!isDone) file.close();
  }
}

/**
 * Copies what was read into a fresh file of the same name. After a failed sync the kernel may show bytes that are not on the disk; what
 * we have read and believe must be there (raft.md 11.5 step 6). It also does away with a torn end.
 */
function rewriteSegment(
  disk: DiskPort,
  folder: string,
  segment: ReadSegment,
  options: { readonly size: number; readonly tornTail: SegmentHeader['tornTail'] },
): DiskFile {
  const draft = `${folder}/${segment.name}-rewrite.tmp`;
  const file = disk.create(draft);
  try {
    writeDraft(file, encodeSegmentHeader({ ...segment.header, tornTail: options.tornTail }), 0);
    const { end } = segment.scan;
    if (end > SEGMENT_HEADER_BYTES)
      writeDraft(file, segment.bytes.subarray(SEGMENT_HEADER_BYTES, end), SEGMENT_HEADER_BYTES);
    for (let at = end; at < options.size; at += SLICE_BYTES) {
      writeDraft(file, ZEROS.subarray(0, Math.min(SLICE_BYTES, options.size - at)), at);
    }
    file.sync();
    disk.rename(draft, segment.path);
    file.path = segment.path;
    disk.syncFolder(folder);
  } catch (error) {
    file.close();
    // Else each start that finds no room would take away more of it.
    if (isDiskFull(error) && disk.exists(draft)) disk.remove(draft);
    throw error;
  }
  return file;
}

function roundUp(size: number): number {
  return Math.ceil(size / ALIGN_BYTES) * ALIGN_BYTES;
}
