/** Where the contracts lie. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../base/assert.ts';

/** Built files lie deeper than sources, and `proto/` beside `src/` or beside `dist/`: looked for above this file. */
export function findProtoFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'proto');
    if (existsSync(join(candidate, 'funk/v1/node.proto'))) return candidate;
    const parent = dirname(folder);
    assert(parent !== folder, 'the package is complete: a folder proto/ lies beside its code');
    folder = parent;
  }
}
