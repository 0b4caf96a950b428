/** Seeds for what the log and the management service carry of shard maps and keys. */
import { ByteWriter, utf8 } from '../../src/base/bytes.ts';
import { DecodeError } from '../../src/base/errors.ts';
import type { KvMutation } from '../../src/model/kv.ts';
import type { Term } from '../../src/model/ids.ts';
import type { ShardMap } from '../../src/model/shard-map.ts';
import { encodeKvItem, type KvItem, writeKvBatch } from '../../src/wire/kv/batch.ts';
import { encodeShardCommand } from '../../src/wire/sharding/map-entry.ts';
import { decodeMapImage } from '../../src/wire/sharding/map-image.ts';

/** The active maps of these images. */
export function mapsIn(images: readonly Uint8Array[]): ShardMap[] {
  return images.flatMap((bytes) => {
    const image = decodeMapImage(bytes);
    return image instanceof DecodeError || image.active === undefined ? [] : [image.active];
  });
}

/** Proposals that are told as a change of this map: some shards go to another owner, or all of one owner's to the last. */
export function changesOf(base: ShardMap): Uint8Array[] {
  const last = base.owners.length - 1;
  const moved = (isMoved: (shard: number) => boolean): Uint8Array => {
    const ownerOf = Uint16Array.from(base.ownerOf, (owner, shard) => (isMoved(shard) ? last : owner));
    return encodeShardCommand(
      { ...base, kind: 'shardPropose', term: 3 as Term, atMs: 1_750_000_000_000, ownerOf },
      base,
    );
  };
  return [
    moved((shard) => shard === 5),
    moved((shard) => shard % 7 === 0),
    moved((shard) => base.ownerOf[shard] === 0),
  ];
}

const KEY = utf8('config/feature');
const PUT = { kind: 'put', key: KEY, value: utf8('on'), prevKv: true } as const;
const DELETE = { kind: 'delete', key: KEY, rangeEnd: utf8('config0'), prevKv: false } as const;
const RANGE = {
  kind: 'range',
  key: KEY,
  rangeEnd: Uint8Array.of(0),
  limit: 10,
  keysOnly: true,
  countOnly: false,
} as const;
const TXN: KvMutation = {
  kind: 'txn',
  compares: [
    { target: 'version', relation: 'equal', key: KEY, operand: 3 },
    { target: 'value', relation: 'notEqual', key: KEY, operand: utf8('off') },
  ],
  success: [PUT, RANGE],
  failure: [DELETE],
};

const ITEMS: readonly KvItem[] = [
  { kind: 'mutate', mutation: PUT, session: undefined },
  { kind: 'mutate', mutation: DELETE, session: { session: 7, seq: 3, ackedBelow: 2 } },
  { kind: 'mutate', mutation: TXN, session: undefined },
  { kind: 'openSession' },
  { kind: 'closeSession', session: 7 },
  { kind: 'expireSessions', term: 4, idleMs: 60_000 },
];

export function kvItems(): Uint8Array[] {
  return ITEMS.map(encodeKvItem);
}

export function kvBatches(): Uint8Array[] {
  const items = kvItems();
  return [items, items.slice(0, 1), items.slice(3)].map((some) => {
    const writer = new ByteWriter(1_024);
    writeKvBatch(writer, 1_750_000_000_000, some);
    return writer.finish();
  });
}
