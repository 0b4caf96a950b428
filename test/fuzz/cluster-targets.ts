/** The decoders of what nodes send each other beside gossip, and of what they find on their disk. */
import { createHash } from 'node:crypto';
import { concatBytes, utf8 } from '../../src/base/bytes.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import { DecodeError } from '../../src/base/errors.ts';
import { AgreedState, problemOfImage } from '../../src/cluster/agreed-state.ts';
import type { Backup } from '../../src/model/backup.ts';
import type { ClusterId, LogIndex, MemberId, NodeId, Stamp, Term } from '../../src/model/ids.ts';
import { parseKeyring } from '../../src/node-config/gossip-keys.ts';
import { decodeCommand } from '../../src/wire/command/command.ts';
import { encodePeerBatch, splitPeerBatch } from '../../src/wire/peer/peer-batch.ts';
import { decodeKvBatch, decodeKvItem } from '../../src/wire/kv/batch.ts';
import { decodePeerFrame } from '../../src/wire/peer/peer-message.ts';
import { decodeBackup, encodeBackup } from '../../src/wire/raft/backup-file.ts';
import { batchSize, encodeBatch, readBatchHeader, readBatchPayload } from '../../src/wire/raft/batch.ts';
import { decodeConfiguration } from '../../src/wire/raft/entry.ts';
import { FormatFault } from '../../src/wire/raft/format-fault.ts';
import {
  decodeClusterFile,
  decodeDissolutions,
  decodeIdentity,
  encodeClusterFile,
  encodeDissolutions,
  encodeIdentity,
} from '../../src/wire/raft/identity.ts';
import { decodeRecords, encodeRecords, recordsOf } from '../../src/wire/raft/record.ts';
import { decodeRaftMessage } from '../../src/wire/raft/rpc.ts';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../src/wire/raft/segment.ts';
import { decodeSnapshotFile, encodeSnapshotFile } from '../../src/wire/raft/snapshot-file.ts';
import { readSnapshot, wholeSnapshot } from '../../src/wire/serf/snapshot-file.ts';
import {
  decodeLeaseBatch,
  decodeLeaseMessage,
  encodeLeaseBatch,
  type LeaseMessage,
} from '../../src/wire/sharding/lease.ts';
import { decodeShardCommand } from '../../src/wire/sharding/map-entry.ts';
import { decodeMap, decodeMapImage, encodeMap } from '../../src/wire/sharding/map-image.ts';
import { type FuzzTarget, REFUSED } from './harness.ts';
import { harvestCluster } from './harvest.ts';
import { changesOf, kvBatches, kvItems, mapsIn } from './state-seeds.ts';

const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId;
const SHA256_BYTES = 32;
const BACKUP: Omit<Backup, 'meta' | 'image'> = {
  term: 3 as Term,
  ledBy: 'n2' as NodeId,
  uncertain: 0,
  clusterName: 'demo',
  createdMs: 1_750_000_000_000,
  shardCount: 64,
  mapVersion: 4 as LogIndex,
  takenBy: 'n1' as NodeId,
  takenAt: 1_750_000_000_000,
};

/** A door that answers with a value: what is not of use counts as refused. */
function door(answer: unknown): unknown {
  return answer instanceof DecodeError || answer instanceof FormatFault || answer === 'newer' ? REFUSED : answer;
}

/** Decoders inside of wire/ that throw: everything but a DecodeError is a fault. */
function inner(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return REFUSED;
    throw error;
  }
}

/** Three of them at a time. */
function leaseBatches(leases: readonly Uint8Array[]): Uint8Array[] {
  const messages = leases
    .map(decodeLeaseMessage)
    .filter((message): message is LeaseMessage => !(message instanceof DecodeError));
  return messages.map((_, at) => encodeLeaseBatch(messages.slice(at, at + 3)));
}

/** What the log holds for the shard map. */
function shardCommandsIn(commands: readonly Uint8Array[]): Uint8Array[] {
  return commands.flatMap((bytes) => {
    const command = decodeCommand(bytes);
    return command.kind === 'shard' ? [command.bytes.slice()] : [];
  });
}

/** A header of 4,096 bytes whose checksum is right again. */
function resealSegment(mutated: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  bytes.set(mutated.subarray(0, SEGMENT_HEADER_BYTES));
  new DataView(bytes.buffer).setUint32(SEGMENT_HEADER_BYTES - 4, crc32c(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4)));
  return bytes;
}

/** Mutated records as a batch around which everything is right. */
function resealBatch(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(batchSize(payload.length));
  const tail = { term: 1 as Term, index: 1 as LogIndex };
  const fields = { sequence: 1, segment: 1, prevChain: 0, tail, truncatedFrom: 0 as LogIndex, recordCount: 3 };
  encodeBatch(bytes, fields, [payload]);
  return bytes;
}

function readBatch(bytes: Uint8Array): unknown {
  const header = readBatchHeader(bytes, 0);
  if (header instanceof FormatFault) return REFUSED;
  const payload = readBatchPayload(bytes, 0, header);
  return payload instanceof FormatFault ? REFUSED : door(decodeRecords(payload, header.recordCount));
}

/** The checksums of a snapshot file are right again, where its lengths still lead to them. */
function resealSnapshot(mutated: Uint8Array): Uint8Array {
  const bytes = mutated.slice();
  if (bytes.length < 12 + SHA256_BYTES) return bytes;
  const view = new DataView(bytes.buffer);
  const header = view.getUint32(8);
  let at = 12 + header;
  if (at + 4 <= bytes.length) view.setUint32(at, crc32c(bytes.subarray(12, at)));
  for (at += 4; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at);
    if (size === 0 || at + 8 + size > bytes.length) break;
    view.setUint32(at + 4, crc32c(bytes.subarray(at + 8, at + 8 + size)));
    at += 8 + size;
  }
  return resealFile(bytes);
}

function resealFile(mutated: Uint8Array): Uint8Array {
  const bytes = mutated.slice();
  const end = bytes.length - SHA256_BYTES;
  if (end > 0) bytes.set(createHash('sha256').update(bytes.subarray(0, end)).digest(), end);
  return bytes;
}

export function clusterTargets(): readonly FuzzTarget[] {
  const harvest = harvestCluster();
  const { frames, raft, leases, configurations, commands, batches, snapshots } = harvest;
  const shardCommands = shardCommandsIn(commands);
  const images = snapshots.map(({ bytes }) => bytes);
  const maps = snapshots.map(({ meta, bytes }) => new AgreedState().restore(meta, bytes).slice());
  const activeMaps = mapsIn(maps);
  const base = activeMaps.at(-1);
  const snapshotFiles = snapshots
    .slice(0, 8)
    .map(({ meta, bytes }) => concatBytes([...encodeSnapshotFile(meta, bytes)]));
  const records = batches.map((batch) => encodeRecords(recordsOf(batch)));
  const segments = batches.slice(0, 8).map((batch, at) =>
    encodeSegmentHeader({
      clusterId: CLUSTER,
      memberHash: new Uint8Array(8).fill(at),
      segment: at + 1,
      firstSequence: at + 1,
      prevChain: at,
      firstIndex: 1 as LogIndex,
      hardState: batch.hardState ?? { term: 1 as Term, vote: null },
      commitHint: 0 as LogIndex,
      retention: { snapshots: [], keepFrom: 1 as LogIndex, oldestSegment: 1 },
      tornTail: undefined,
    }),
  );
  const identity = encodeIdentity({
    nodeId: 'n1' as NodeId,
    stamp: '0011223344556677' as Stamp,
    createdAt: 1_750_000_000_000,
  });
  const members = new Map(['a', 'b c', 'd'].map((name, at) => [name, { host: `10.0.0.${at}`, port: 7946 }]));
  const gossipSnapshot = utf8(wholeSnapshot(members, { member: 3, event: 4, query: 5 }));
  const keyring = utf8('["HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=", "vbitCcJNwNP4aEWHgofjMg=="]');
  const backups = snapshots
    .slice(0, 4)
    .map(({ meta, bytes }) => concatBytes([...encodeBackup({ ...BACKUP, meta, image: bytes })]));
  return [
    {
      name: 'frames of a turn',
      seeds: frames.map((_, at) => encodePeerBatch(frames.slice(at, at + 2 + (at % 5)))),
      decode: (bytes) => {
        const split = splitPeerBatch(bytes);
        return split.some((frame) => frame.length === 0) ? REFUSED : split;
      },
    },
    { name: 'peer frame', seeds: frames, decode: (bytes) => inner(() => decodePeerFrame(bytes)) },
    { name: 'raft message', seeds: raft, decode: (bytes) => door(decodeRaftMessage(bytes)) },
    { name: 'configuration', seeds: configurations, decode: (bytes) => inner(() => decodeConfiguration(bytes)) },
    { name: 'log command', seeds: commands, decode: (bytes) => inner(() => decodeCommand(bytes)) },
    { name: 'shard command', seeds: shardCommands, decode: (bytes) => door(decodeShardCommand(bytes)) },
    { name: 'lease batch', seeds: leaseBatches(leases), decode: (bytes) => door(decodeLeaseBatch(bytes)) },
    { name: 'lease message', seeds: leases, decode: (bytes) => door(decodeLeaseMessage(bytes)) },
    { name: 'state image', seeds: images, decode: (bytes) => door(problemOfImage(bytes) ?? 'whole') },
    { name: 'map image', seeds: maps, decode: (bytes) => door(decodeMapImage(bytes)) },
    { name: 'shard map', seeds: activeMaps.map(encodeMap), decode: (bytes) => door(decodeMap(bytes)) },
    {
      name: 'change of a shard map',
      seeds: base === undefined ? [] : changesOf(base),
      decode: (bytes) => door(decodeShardCommand(bytes, base)),
    },
    { name: 'request of keys', seeds: kvItems(), decode: (bytes) => inner(() => decodeKvItem(bytes)) },
    { name: 'batch of requests of keys', seeds: kvBatches(), decode: (bytes) => inner(() => decodeKvBatch(bytes)) },
    { name: 'segment header', seeds: segments, decode: (bytes) => door(decodeSegmentHeader(bytes)) },
    {
      name: 'segment header, sealed again',
      seeds: segments,
      wrap: resealSegment,
      decode: (bytes) => door(decodeSegmentHeader(bytes)),
    },
    { name: 'log records', seeds: records, decode: (bytes) => door(decodeRecords(bytes, 3)) },
    { name: 'log batch', seeds: records.map(resealBatch), decode: readBatch },
    { name: 'log batch, sealed again', seeds: records, wrap: resealBatch, decode: readBatch },
    { name: 'snapshot file', seeds: snapshotFiles, decode: (bytes) => door(decodeSnapshotFile(bytes)) },
    {
      name: 'snapshot file, sealed again',
      seeds: snapshotFiles,
      wrap: resealSnapshot,
      decode: (bytes) => door(decodeSnapshotFile(bytes)),
    },
    {
      name: 'backup file, sealed again',
      seeds: backups,
      wrap: resealFile,
      decode: (bytes) => door(decodeBackup(bytes)),
    },
    { name: 'identity file', seeds: [identity], decode: (bytes) => door(decodeIdentity(bytes)) },
    { name: 'cluster file', seeds: [encodeClusterFile(CLUSTER)], decode: (bytes) => door(decodeClusterFile(bytes)) },
    {
      name: 'file of dissolved clusters',
      seeds: [encodeDissolutions([{ clusterId: CLUSTER, member: 'n1@0011223344556677' as MemberId }])],
      decode: (bytes) => door(decodeDissolutions(bytes)),
    },
    {
      name: 'gossip snapshot',
      seeds: [gossipSnapshot],
      decode: (bytes) => {
        const read = readSnapshot(new TextDecoder().decode(bytes), { rejoinsAfterLeave: false });
        return read.skipped > 0 ? REFUSED : read;
      },
    },
    {
      name: 'keyring file',
      seeds: [keyring],
      decode: (bytes) => (typeof parseKeyring(new TextDecoder().decode(bytes), 'f') === 'string' ? REFUSED : 'keys'),
    },
  ];
}
