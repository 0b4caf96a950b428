/**
 * The small files that say whose data a directory holds: `IDENTITY` (which node, written once at its first start), `CLUSTER`
 * (which cluster, written once when it comes to belong to one), and `DISSOLVED` (what earlier members on it gave up). raft.md 11.1. Text lines, so that a person can read them; the last line
 * is the CRC-32C of those before.
 */
import { fromUtf8, utf8 } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import { type Dissolution, DISSOLUTIONS_MAX } from '../../model/dissolution.ts';
import { isClusterId, isMemberId, isNodeId, isStamp } from '../../model/ids.ts';
import type { ClusterId, NodeId, Stamp } from '../../model/ids.ts';
import { FormatFault, faultOf } from './format-fault.ts';

const IDENTITY_FORMAT_VERSION = 1;

export interface Identity {
  readonly nodeId: NodeId;
  readonly stamp: Stamp;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

const FILE_BYTES_MAX = 4096;

export function encodeIdentity(identity: Identity): Uint8Array {
  return encodeLines([
    ['funknode-identity', String(IDENTITY_FORMAT_VERSION)],
    ['node', identity.nodeId],
    ['stamp', identity.stamp],
    ['created', String(identity.createdAt)],
  ]);
}

/** `newer` when the file is whole, but of a version that we cannot read. */
export function decodeIdentity(bytes: Uint8Array): Identity | FormatFault | 'newer' {
  const lines = decodeLines(bytes);
  if (lines instanceof FormatFault) return lines;
  const version = Number(lines.get('funknode-identity'));
  if (!Number.isSafeInteger(version)) return new FormatFault(0, 'this is not an identity');
  if (version > IDENTITY_FORMAT_VERSION) return 'newer';
  const nodeId = lines.get('node') ?? '';
  const stamp = lines.get('stamp') ?? '';
  const createdAt = Number(lines.get('created'));
  if (!isNodeId(nodeId) || !isStamp(stamp) || !Number.isSafeInteger(createdAt))
    return new FormatFault(0, 'a field of the identity is missing');
  return { nodeId, stamp, createdAt };
}

export function encodeClusterFile(clusterId: ClusterId): Uint8Array {
  return encodeLines([
    ['funknode-cluster', String(IDENTITY_FORMAT_VERSION)],
    ['cluster', clusterId],
  ]);
}

export function decodeClusterFile(bytes: Uint8Array): ClusterId | FormatFault | 'newer' {
  const lines = decodeLines(bytes);
  if (lines instanceof FormatFault) return lines;
  const version = Number(lines.get('funknode-cluster'));
  if (!Number.isSafeInteger(version)) return new FormatFault(0, 'this is not the name of a cluster');
  if (version > IDENTITY_FORMAT_VERSION) return 'newer';
  const clusterId = lines.get('cluster') ?? '';
  return isClusterId(clusterId) ? clusterId : new FormatFault(0, 'the cluster id is not one');
}

/** The newest of them. */
export function encodeDissolutions(dissolutions: readonly Dissolution[]): Uint8Array {
  return encodeLines([
    ['funknode-dissolved', String(IDENTITY_FORMAT_VERSION)],
    ...dissolutions
      .slice(-DISSOLUTIONS_MAX)
      .map(({ clusterId, member }, i) => [`cluster-${i}`, `${clusterId} ${member}`] as const),
  ]);
}

export function decodeDissolutions(bytes: Uint8Array): readonly Dissolution[] | FormatFault | 'newer' {
  const lines = decodeLines(bytes);
  if (lines instanceof FormatFault) return lines;
  const version = Number(lines.get('funknode-dissolved'));
  if (!Number.isSafeInteger(version)) return new FormatFault(0, 'this is no list of dissolved clusters');
  if (version > IDENTITY_FORMAT_VERSION) return 'newer';
  const dissolutions: Dissolution[] = [];
  for (let i = 0; i < DISSOLUTIONS_MAX; i++) {
    const line = lines.get(`cluster-${i}`);
    if (line === undefined) break;
    const [clusterId = '', member = '', ...rest] = line.split(' ');
    if (!isClusterId(clusterId) || !isMemberId(member) || rest.length > 0)
      return new FormatFault(0, 'a dissolved cluster is not one');
    dissolutions.push({ clusterId, member });
  }
  return dissolutions;
}

function encodeLines(lines: readonly (readonly [string, string])[]): Uint8Array {
  const text = lines.map(([key, value]) => `${key} ${value}\n`).join('');
  return utf8(`${text}crc32c ${hex8(crc32c(utf8(text)))}\n`);
}

function decodeLines(bytes: Uint8Array): ReadonlyMap<string, string> | FormatFault {
  if (bytes.length > FILE_BYTES_MAX) return new FormatFault(FILE_BYTES_MAX, 'the file is too long');
  const text = faultOf(0, () => fromUtf8(bytes));
  if (text instanceof FormatFault) return text;
  const end = text.lastIndexOf('crc32c ');
  if (end < 0) return new FormatFault(text.length, 'the checksum is missing');
  if (text.slice(end) !== `crc32c ${hex8(crc32c(utf8(text.slice(0, end))))}\n`)
    return new FormatFault(end, 'the checksum is wrong');
  const lines = text.slice(0, end).split('\n').slice(0, -1);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
