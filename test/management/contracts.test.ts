/** The contracts in `proto/`: numbers are never reused, and the types in `src/gen` are those of today's contracts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { loadSync } from '@grpc/proto-loader';
import { ROOT } from '../tools/source-tree.ts';

interface Field {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}

interface Enum {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number: number }[];
}

interface Message {
  readonly field: readonly Field[];
  readonly enumType: readonly Enum[];
  readonly nestedType: readonly object[];
  readonly oneofDecl: readonly object[];
}

const RECORD = join(ROOT, 'test/management/contract-record.txt');

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** One line per field, enum value and method, of all contracts. */
function contractLines(): string[] {
  const folder = join(ROOT, 'proto');
  const loaded = loadSync(filesBelow(folder, '.proto'), { includeDirs: [folder], keepCase: true });
  return Object.entries(loaded)
    .flatMap(([name, definition]) => {
      if (!('format' in definition)) {
        return Object.values(definition).map((method) => {
          const stream = (isStream: boolean): string => (isStream ? 'stream ' : '');
          const types = method as unknown as Record<'requestType' | 'responseType', { type: { name: string } }>;
          const { requestType, responseType } = types;
          return `rpc ${method.path} (${stream(method.requestStream)}${requestType.type.name}) returns (${stream(method.responseStream)}${responseType.type.name})`;
        });
      }
      const message = definition.type as unknown as Partial<Message>;
      const fields = (message.field ?? []).map((field) => {
        const type = field.typeName === '' ? field.type.replace('TYPE_', '').toLowerCase() : field.typeName;
        return `${name} ${field.number} ${field.name}: ${field.label === 'LABEL_REPEATED' ? 'repeated ' : ''}${type}`;
      });
      const values = (message.enumType ?? []).flatMap((one) =>
        one.value.map((value) => `${name}.${one.name} ${value.number} ${value.name}`),
      );
      return [...fields, ...values];
    })
    .sort();
}

describe('proto/', () => {
  it('gives every message, field number, enum value and method what is on record: a new one is added there, an old one never changes', () => {
    const recorded = readFileSync(RECORD, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    assert.deepEqual(contractLines(), recorded);
  });

  it('uses no map fields, which clients that ask by reflection cannot read', () => {
    for (const file of filesBelow(join(ROOT, 'proto'), '.proto')) {
      assert.doesNotMatch(readFileSync(join(ROOT, 'proto', file), 'utf8'), /\bmap\s*</, file);
    }
  });
});

describe('src/gen', () => {
  it('is what the generator writes today', () => {
    const scratch = mkdtempSync(join(tmpdir(), 'funk-gen-'));
    try {
      execFileSync(process.execPath, [join(ROOT, 'test/tools/generate-types.mjs'), scratch], { stdio: 'pipe' });
      const committed = join(ROOT, 'src/gen');
      assert.deepEqual(filesBelow(committed, '.ts'), filesBelow(scratch, '.ts'));
      for (const file of filesBelow(scratch, '.ts')) {
        assert.equal(
          readFileSync(join(committed, file), 'utf8'),
          readFileSync(join(scratch, file), 'utf8'),
          `${file}: run npm run gen`,
        );
      }
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
});
