/**
 * Writes the TypeScript types of every contract in `proto/` into a folder, `src/gen` unless another is named.
 * Run by `npm run gen`; a test runs it into a scratch folder and compares.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const generator = join(root, 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js');
const outDir = resolve(process.argv[2] ?? join(root, 'src/gen'));

function protoFiles(folder, prefix = '') {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) return protoFiles(join(folder, entry.name), `${path}/`);
    return entry.name.endsWith('.proto') ? [path] : [];
  });
}

const files = protoFiles(join(root, 'proto')).sort();
rmSync(outDir, { recursive: true, force: true });
mkdirSync(outDir, { recursive: true });
// The options are those of run-time loading (src/management/protos.ts): what is typed is what arrives.
const done = spawnSync(
  process.execPath,
  [
    generator,
    '--longs=Number',
    '--enums=String',
    '--defaults',
    '--oneofs',
    '--importFileExtension=.ts',
    `--includeDirs=${join(root, 'proto')}`,
    `--outDir=${outDir}`,
    ...files,
  ],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
process.exitCode = done.status ?? 1;

// The generator notes where each contract lay; only its place in the repository is worth keeping.
for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(root, ''));
}
