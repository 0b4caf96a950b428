/** How segment files come into being: drafted full of zeros, given a header, renamed. raft.md 11.2, 11.7. */
import { assert, present } from '../base/assert.ts';
import type { DiskFile, DiskPort } from '../ports/disk-port.ts';
import { ALIGN_BYTES } from '../wire/raft/batch.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentDraftName, segmentFileName } from '../wire/raft/segment.ts';
import type { SegmentHeader } from '../wire/raft/segment.ts';
import { isDiskFull } from './disk-errors.ts';
import { writeDraft, writeFully } from './disk-files.ts';
import type { ReadSegment, SegmentName } from './disk-log-recovery.ts';

/** Written and synced at once while batches may be waiting: well below a millisecond on a good disk. */
const SLICE_BYTES: number = 128 * 1024;
const ZEROS: Uint8Array = new Uint8Array(SLICE_BYTES);

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
  /** After a full disk: how far the active segment must fill before the next try. */
  #spareRetryAt = 0;

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
    return this.#spare === undefined && this.#isFilledTo(1 / 4);
  }

  /** Room is short: the spare should be made even though batches are waiting. */
  get needsSpare(): boolean {
    return this.#spare === undefined && this.#isFilledTo(1 / 2);
  }

  /** One slot stays free for the batch that ends the segment. */
  hasRoomFor(size: number): boolean {
    return this.#offset + size + ALIGN_BYTES <= (this.#active?.size ?? 0);
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
  readySpare(size: number, spareBytes: number = this.#segmentBytes): void {
    if (this.#spareJob !== undefined) this.#spare = finishJob(this.#spareJob);
    this.#spareJob = undefined;
    const wanted = roundUp(SEGMENT_HEADER_BYTES + size + 2 * ALIGN_BYTES);
    if (this.#spare !== undefined && this.#spare.size < wanted) {
      this.#spare.file.close();
      this.#spare = undefined;
    }
    const fileSize = Math.max(roundUp(spareBytes), wanted);
    const wholly = { sync: 'once' } as const; // Someone waits for all of it.
    this.#spare ??= finishJob(draftSegment(this.#disk, this.#folder, this.segment + 1, { size: fileSize, ...wholly }));
  }

  /** One slice of making a spare. A full disk is no failure yet: the active segment still has room. */
  workOnSpare(): void {
    if (this.#spare !== undefined) return;
    const sliced = { size: this.#segmentBytes, sync: 'slices' } as const;
    this.#spareJob ??= draftSegment(this.#disk, this.#folder, this.segment + 1, sliced);
    try {
      const step = this.#spareJob.next();
      if (step.done !== true) return;
      this.#spare = step.value;
      this.#spareJob = undefined;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#spareJob = undefined;
      this.#disk.remove(`${this.#folder}/${segmentDraftName(this.segment + 1)}`);
      this.#spareRetryAt = this.#offset + (this.#active?.size ?? 0) / 16;
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
    this.#spareRetryAt = 0;
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

  #isFilledTo(part: number): boolean {
    return this.#offset >= Math.max(this.#spareRetryAt, (this.#active?.size ?? 0) * part);
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
    throw error;
  }
  return file;
}

function roundUp(size: number): number {
  return Math.ceil(size / ALIGN_BYTES) * ALIGN_BYTES;
}
