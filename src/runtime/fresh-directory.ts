/**
 * Data of a member that begins with a state which others agreed on: prepared beside whatever the directory holds, durable, and put in its
 * place in one step. For the offline recovery; the lock is held throughout. raft.md 14, R-4, R-5.
 */
import type { Term } from '../model/ids.ts';
import type { SnapshotMeta } from '../model/log.ts';
import type { DiskPort } from '../ports/disk-port.ts';
import { encodeClusterFile, encodeIdentity, type Identity } from '../wire/raft/identity.ts';
import { INCOMING, placeData, replaceData } from './data-aside.ts';
import { memberHash } from './data-directory.ts';
import { writeFileDurably } from './disk-files.ts';
import { encodePersistBatch, Wal } from './disk-log-wal.ts';

const SEGMENT_BYTES: number = 1024 * 1024;

export interface FreshContents {
  readonly identity: Identity;
  readonly meta: SnapshotMeta;
  readonly image: Uint8Array;
  /** Of the first segments; 1 MiB unless given, as much as a first start makes. */
  readonly segmentBytes?: number | undefined;
}

/**
 * The old data goes to `quarantine/<aside>`; undefined when there is none. Throws `DiskFailedError`; then the directory is what it was, or
 * the next start finishes the work.
 */
export function putFreshData(disk: DiskPort, folder: string, contents: FreshContents, aside: string | undefined): void {
  const incoming = `${folder}/${INCOMING}`;
  for (const path of [incoming, `${incoming}/wal`, `${incoming}/snap`]) disk.makeFolder(path);
  writeFileDurably(disk, incoming, 'IDENTITY', encodeIdentity(contents.identity));
  writeFileDurably(disk, incoming, 'CLUSTER', encodeClusterFile(contents.meta.clusterId));
  writeLog(disk, incoming, contents, contents.meta.lastLog.term);
  disk.syncFolder(folder);
  if (aside === undefined) placeData(disk, folder);
  else replaceData(disk, folder, aside);
}

function writeLog(disk: DiskPort, folder: string, contents: FreshContents, term: Term): void {
  const { identity, meta, image, segmentBytes = SEGMENT_BYTES } = contents;
  const wal = new Wal(disk, {
    walFolder: `${folder}/wal`,
    snapFolder: `${folder}/snap`,
    quarantineFolder: `${folder}/wal`,
    clusterId: meta.clusterId,
    memberHash: memberHash(identity),
    segmentBytes,
    firstSegmentBytes: segmentBytes,
  });
  try {
    wal.write([encodePersistBatch({ batchSeq: 1, underTerm: term, hardState: { term, vote: null } })]);
    for (const _slice of wal.installSnapshot(meta, image));
    wal.close();
  } catch (error) {
    wal.abandon();
    throw error;
  }
}
