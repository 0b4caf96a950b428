import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EMPTY_BYTES, utf8 } from '../../src/base/bytes.ts';
import type { Boot, LogIndex, NodeId, Term } from '../../src/model/ids.ts';
import type { Entry, EntryKind } from '../../src/model/log.ts';
import { meaningOf } from '../../src/runtime/entry-meaning.ts';
import { encodeCommand, encodeKvCommand } from '../../src/wire/command/command.ts';
import { encodeKvItem } from '../../src/wire/kv/batch.ts';
import { encodeShardCommand } from '../../src/wire/sharding/map-entry.ts';

function entry(data: Uint8Array, kind: EntryKind = 'command'): Entry {
  return { index: 7 as LogIndex, term: 2 as Term, kind, data };
}

describe('what an entry means', () => {
  it('keys and values: as text, cut, or in hexadecimal', () => {
    const put = { kind: 'put', key: utf8('a/b'), value: utf8('x'.repeat(60)), prevKv: false } as const;
    const remove = { kind: 'delete', key: Uint8Array.of(1, 255), rangeEnd: EMPTY_BYTES, prevKv: false } as const;
    const compare = { key: utf8('a/b'), target: 'version', relation: 'equal', operand: 0 } as const;
    const txn = { kind: 'txn', compares: [compare], success: [put], failure: [] } as const;
    const session = { session: 3, seq: 2, ackedBelow: 1 };
    const items = [
      encodeKvItem({ kind: 'mutate', mutation: remove, session }),
      encodeKvItem({ kind: 'mutate', mutation: txn, session: undefined }),
      encodeKvItem({ kind: 'openSession' }),
    ];
    assert.deepEqual(meaningOf(entry(encodeKvCommand(1_000, items))), {
      kind: 'kv',
      at: '1970-01-01T00:00:01.000Z',
      items: [
        { delete: '0x01ff', session },
        {
          txn: ['version of a/b equal 0'],
          success: [{ put: 'a/b', value: `${'x'.repeat(48)}… (60 bytes)` }],
          failure: [],
        },
        { kind: 'openSession' },
      ],
    });
  });

  it('a map: who has how many shards', () => {
    const owners = ['a', 'b'].map((node, i) => ({ node: node as NodeId, boot: (i + 1) as Boot, workerId: i + 2 }));
    const bytes = encodeShardCommand({
      kind: 'shardPropose',
      term: 2 as Term,
      shardCount: 3,
      owners,
      ownerOf: Uint16Array.of(0, 1, 1),
    });
    assert.deepEqual(meaningOf(entry(encodeCommand({ kind: 'shard', bytes }))), {
      kind: 'shardPropose',
      term: 2,
      shardCount: 3,
      owners: [
        { ...owners[0], shards: 1 },
        { ...owners[1], shards: 2 },
      ],
    });
  });

  it('nothing, and what cannot be read', () => {
    assert.equal(meaningOf(entry(EMPTY_BYTES, 'noop')), undefined);
    assert.match(String(meaningOf(entry(Uint8Array.of(99)))), /99/);
  });
});
