/**
 * Keeps Serf's snapshot file beside a running node: who was present and which Lamport times were seen, to rejoin after a crash without an
 * operator, and without hearing old events as new. Appended to as things happen, rewritten when it has grown. wire-gossip.md 19.1.
 */
import { type FileHandle, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Endpoint } from '../model/endpoint.ts';
import type { NodeEvent } from '../model/node-event.ts';
import {
  type LamportTimes,
  readSnapshot,
  type SerfSnapshot,
  type SnapshotRecord,
  snapshotLine,
  wholeSnapshot,
} from '../wire/serf/snapshot-file.ts';
import type { NodeHandle } from './node-handle.ts';

const FLUSH_MS = 500;
/** Below this nothing is gained by rewriting. */
const COMPACT_BYTES_MIN = 128 * 1024;
/** serf: a line of a member, and room for as many again. */
const COMPACT_BYTES_PER_MEMBER = 2 * 128;

export interface GossipSnapshotOptions {
  readonly path: string;
  /** What an orderly leave forgets is kept all the same. */
  readonly rejoinsAfterLeave: boolean;
  /** Told of what could not be written; the node goes on. */
  readonly onWarning: (text: string) => void;
}

export class GossipSnapshot {
  readonly #options: GossipSnapshotOptions;
  /** What an earlier run left. */
  readonly before: SerfSnapshot;
  readonly #members: Map<string, Endpoint>;
  #times: LamportTimes;
  #file: FileHandle | undefined;
  #bytes: number;
  #buffered = '';
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: () => void = () => undefined;
  #hasLeft = false;
  #hasWarned = false;

  private constructor(options: GossipSnapshotOptions, before: SerfSnapshot, file: FileHandle, bytes: number) {
    this.#options = options;
    this.before = before;
    this.#members = new Map(before.members);
    this.#times = before.times;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Rejects with what the system says when the file can be neither read nor made. */
  static async open(options: GossipSnapshotOptions): Promise<GossipSnapshot> {
    const text = await readFile(options.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const before = readSnapshot(text, options);
    if (before.skipped > 0) options.onWarning(`${options.path}: ${before.skipped} lines are not understood`);
    const file = await open(options.path, 'a');
    const snapshot = new GossipSnapshot(options, before, file, Buffer.byteLength(text));
    // A torn last line would swallow the next one.
    if (text !== '' && !text.endsWith('\n')) snapshot.#buffered = '\n';
    return snapshot;
  }

  /** Where an earlier run knew others to be. */
  othersThan(self: string): Endpoint[] {
    return [...this.before.members].flatMap(([name, address]) => (name === self ? [] : [address]));
  }

  /** Keeps up with the node from now on. */
  follow(handle: NodeHandle): void {
    const self = handle.view().id;
    this.#unsubscribe = handle.subscribe((event) => this.#note(event, self));
    this.#timer = setInterval(() => {
      this.#noteTime('clock', handle.stats().serf.memberClock - 1);
      this.#flush();
    }, FLUSH_MS).unref();
  }

  /** Writes what waits and lets go of the file. */
  async close(): Promise<void> {
    this.#unsubscribe();
    clearInterval(this.#timer);
    this.#flush();
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  #note(event: NodeEvent, self: string): void {
    switch (event.kind) {
      case 'memberJoined':
      case 'memberUpdated': {
        const { name, address } = event.member;
        const known = this.#members.get(name);
        if (this.#hasLeft || (known?.host === address.host && known.port === address.port)) return;
        this.#members.set(name, address);
        this.#record({ kind: 'alive', name, address });
        return;
      }
      case 'memberLeft':
      case 'memberFailed':
        if (event.kind === 'memberLeft' && event.member.name === self) this.#leave();
        else if (!this.#hasLeft) {
          this.#members.delete(event.member.name);
          this.#record({ kind: 'not-alive', name: event.member.name });
        }
        return;
      case 'userEvent':
        this.#noteTime('event-clock', event.lamportTime);
        return;
      case 'queryAsked':
        this.#noteTime('query-clock', event.lamportTime);
        return;
      default:
    }
  }

  #leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    if (!this.#options.rejoinsAfterLeave) this.#members.clear();
    this.#record({ kind: 'leave' });
    this.#flush(true);
  }

  #noteTime(kind: 'clock' | 'event-clock' | 'query-clock', time: number): void {
    const field = kind === 'clock' ? 'member' : kind === 'event-clock' ? 'event' : 'query';
    if (time <= this.#times[field]) return;
    this.#times = { ...this.#times, [field]: time };
    this.#record({ kind, time });
  }

  #record(record: SnapshotRecord): void {
    this.#buffered += snapshotLine(record);
  }

  #flush(isUrgent = false): void {
    if (this.#buffered === '') return;
    const text = this.#buffered;
    this.#buffered = '';
    this.#writing = this.#writing.then(() => this.#write(text, isUrgent)).catch((error: Error) => this.#warn(error));
  }

  async #write(text: string, isUrgent: boolean): Promise<void> {
    await this.#file?.appendFile(text);
    this.#bytes += Buffer.byteLength(text);
    if (isUrgent) await this.#file?.sync();
    const limit = Math.max(COMPACT_BYTES_MIN, COMPACT_BYTES_PER_MEMBER * this.#members.size);
    if (this.#bytes > limit && !this.#hasLeft) await this.#compact();
  }

  /** As a whole or not at all: a crash leaves the old file or the new one. */
  async #compact(): Promise<void> {
    const { path } = this.#options;
    const beside = `${path}.compact`;
    const text = wholeSnapshot(this.#members, this.#times);
    const fresh = await open(beside, 'w');
    try {
      await fresh.appendFile(text);
      await fresh.sync();
      await rename(beside, path);
    } catch (error) {
      await fresh.close();
      await unlink(beside).catch(() => undefined);
      throw error;
    }
    await this.#file?.close();
    this.#file = fresh;
    this.#bytes = Buffer.byteLength(text);
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  /** Once: a disk that is full is full every half second. */
  #warn(error: Error): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.onWarning(`${this.#options.path} could not be written: ${error.message}`);
  }
}
