/**
 * Files as the write-ahead log sees them. Synchronous, because the log has a thread of its own (raft.md 12.2). A simulated twin keeps
 * what is visible and what is durable apart. Every method throws `DiskFailedError` with the operation, the path and the errno.
 */
export interface DiskPort {
  /** Names in the folder, sorted. */
  list(folder: string): readonly string[];
  exists(path: string): boolean;
  /** Does nothing when the folder is there. Its parent must be there. */
  makeFolder(path: string): void;
  openToRead(path: string): DiskFile;
  /** A new file, or an old one emptied. */
  create(path: string): DiskFile;
  /** Of a file, replacing `to`, or of a folder. Durable only after {@link syncFolder} of both folders. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** An empty one. */
  removeFolder(path: string): void;
  /** Room that is left where the folder is; undefined when that cannot be told. Never throws. */
  freeBytes(folder: string): number | undefined;
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(path: string): void;
}

export interface DiskFile {
  /** For messages; whoever renames an open file says so here. */
  path: string;
  size(): number;
  /** How many bytes were read; fewer than asked for only at the end of the file. */
  read(into: Uint8Array, at: number): number;
  /** How many bytes were written. Fewer than given is a failed write. */
  write(bytes: Uint8Array, at: number): number;
  /** `fdatasync`. When it fails, nobody knows what is durable, and a second call may lie (raft.md 11.6). */
  sync(): void;
  close(): void;
}
