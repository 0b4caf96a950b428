/** Rules of the storage, each broken once, with the beginnings of the names of tests that find them; others may too (reliability.md 9). */
import type { Change } from '../sim/planting.ts';

const [WAL, SEGMENTS] = ['src/runtime/disk-log-wal.js', 'src/runtime/disk-log-segments.js'];
const [SCAN, SNAPSHOTS] = ['src/runtime/disk-log-scan.js', 'src/runtime/disk-snapshots.js'];

export const STORAGE_BUGS: readonly (readonly [name: string, tests: string, change: Change])[] = [
  [
    'a batch is acknowledged before it is synced',
    'I-25, I-26: .*: a vote and',
    { file: SEGMENTS, rule: 'active.file.sync();', broken: '' },
  ],
  [
    'P-53: a failed sync is tried again',
    'P-53',
    {
      file: SEGMENTS,
      rule: 'active.file.sync();',
      broken: 'try { active.file.sync(); } catch { active.file.sync(); }',
    },
  ],
  [
    'P-54: what a restart reads is believed without being written again',
    'I-25, I-26: .*: a vote and',
    {
      file: SEGMENTS,
      rule: 'file.sync();\n        disk.rename(draft, segment.path);',
      broken: 'disk.rename(draft, segment.path);',
    },
  ],
  [
    'P-56: the end of a torn write is kept',
    'P-56',
    {
      file: SEGMENTS,
      rule: 'segment.bytes.subarray(SEGMENT_HEADER_BYTES, end), SEGMENT_HEADER_BYTES);\n        for (let at = end;',
      broken:
        'segment.bytes.subarray(SEGMENT_HEADER_BYTES), SEGMENT_HEADER_BYTES);\n        for (let at = segment.bytes.length;',
    },
  ],
  [
    'the name of a new segment is not durable',
    'I-25, I-26: .*: appends',
    {
      file: SEGMENTS,
      rule: 'this.#disk.syncFolder(this.#folder);\n        this.#active?.file.close();',
      broken: 'this.#active?.file.close();',
    },
  ],
  [
    'damage in the middle of the log is taken for a torn end',
    'a seal after it',
    { file: SCAN, rule: 'throw new DamagedLogError(path, bad,', broken: 'new DamagedLogError(path, bad,' },
  ],
  [
    'a batch that does not follow the one before it is taken',
    'a block that another',
    { file: SCAN, rule: 'header.prevChain !== expected.chain', broken: 'false' },
  ],
  [
    'the name of a snapshot is not durable when the log refers to it',
    'I-25, I-26: .*: a snapshot that keeps',
    {
      file: SNAPSHOTS,
      rule: 'disk.syncFolder(folder);',
      broken: '',
    },
  ],
  [
    'a snapshot has its name before its bytes are durable',
    'I-25, I-26: .*: a snapshot that keeps',
    { file: SNAPSHOTS, rule: 'file.sync();\n    }\n    catch', broken: '}\n    catch' },
  ],
  [
    'a snapshot is taken for another of its name',
    'a whole snapshot that is not',
    {
      file: SNAPSHOTS,
      rule: 'const isReferred = equalBytes(file.sha256, reference.sha256);',
      broken: 'const isReferred = true;',
    },
  ],
  [
    'segments go before it is durable that nobody needs them',
    'I-25, I-26: .*: a snapshot that keeps',
    { file: WAL, rule: "this.#writeRecord({ kind: 'snapshot', retention: this.#retention });", broken: '' },
  ],
  [
    'P-18: an install overwrites the term',
    'I-25, I-26: .*: an install into',
    { file: WAL, rule: 'if (lastLog.term > this.#hardState.term)', broken: 'if (true)' },
  ],
  [
    'a segment goes that holds an entry to be kept',
    'P-59',
    { file: WAL, rule: 'if (segment.firstIndex <= keepFrom)', broken: 'if (segment.firstIndex <= keepFrom + 1)' },
  ],
];
