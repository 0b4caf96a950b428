/** The rules of the house that a compiler does not know. Each finding says `path:line` and what to do instead. */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { codeOnly, importsOf, lineAt } from './tools/source-text.ts';
import { packageOf, readTracked, resolveRelative, type SourceFile, trackedPaths } from './tools/source-tree.ts';

/** Rooms of `src/` and their floors; files directly in `src/` stand on the roof. */
const FLOORS: Readonly<Record<string, number>> = {
  base: 0,
  model: 1,
  ports: 2,
  wire: 3,
  gen: 3,
  swim: 4,
  raft: 4,
  sharding: 4,
  liveness: 4,
  kv: 4,
  serf: 5,
  etcd: 5,
  cluster: 6,
  runtime: 7,
  discovery: 8,
  management: 8,
  routing: 8,
  'serf-rpc': 8,
  coordination: 8,
  metrics: 8,
  console: 8,
  events: 8,
  'node-config': 9,
};
const ROOF = 9;
const STILL_UP_TO = 6;
const isCore = (floor: number): boolean => floor >= 4 && floor <= 6;

/** Of a core, outsiders use these files only. */
const DOORS = ['messages', 'config', 'errors'];
/** What floor 8 knows of the runtime. */
const HANDLE_FILES = [
  'src/runtime/node-handle.ts',
  'src/runtime/handle-errors.ts',
  'src/runtime/kv-client.ts',
  'src/runtime/kv-errors.ts',
  'src/runtime/query-call.ts',
  'src/runtime/http2-opening.ts',
  'src/runtime/proto-folder.ts',
];
/** Where ports meet their real implementations. */
const COMPOSITION = [
  'src/node.ts',
  'src/node-gossip.ts',
  'src/local-node.ts',
  'src/thread-node.ts',
  'src/node-worker.ts',
  'src/cluster-reader.ts',
  'src/node-reader.ts',
  'src/shard-clients.ts',
  'src/index.ts',
  'src/offline.ts',
];
/** The public API, and what the programs need beside it: settings to parse, the browse of `funkctl`, our vocabulary. */
const PUBLIC = [
  'src/model/',
  'src/ports/logger.ts',
  'src/index.ts',
  'src/client.ts',
  'src/offline.ts',
  'src/routing.ts',
  'src/node-config.ts',
  'src/node-config/',
  'src/discovery/',
];

/** The only rooms (or folders) that may import each package. Tests may import all of them. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@grpc/grpc-js': [
    'src/runtime',
    'src/management',
    'src/routing',
    'src/coordination',
    'src/client.ts',
    'src/gen',
    'examples',
    'bench',
  ],
  '@grpc/proto-loader': [
    'src/runtime',
    'src/management',
    'src/routing',
    'src/coordination',
    'src/client.ts',
    'src/gen',
    'examples',
  ],
  '@grpc/reflection': ['src/management'],
  'grpc-health-check': ['src/management'],
  'multicast-dns': ['src/discovery'],
  'prom-client': ['src/metrics'],
  rxjs: ['src/events', 'src/node.ts', 'src/index.ts', 'examples'],
  commander: ['cmd', 'examples'],
  yaml: ['cmd'],
  zod: ['src/node-config', 'src/node-config.ts', 'cmd'],
  pino: ['src/runtime', 'cmd'],
  'pino-pretty': ['cmd'],
  picocolors: ['cmd', 'examples', 'bench'],
  'cli-table3': ['cmd', 'examples'],
  'cli-progress': ['examples'],
};

/** Names by which a floor that must stand still would reach the outside. */
const RESTLESS: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w$.])(?:async|await)\b(?!\s*:)/g, 'async code'],
  [/(?<![\w$.])Promise\b/g, 'a promise'],
  [/(?<![\w$.])(?:setTimeout|setInterval|setImmediate|queueMicrotask|clearTimeout|clearInterval)\b/g, 'a timer'],
  [/(?<![\w$.])(?:Date|performance)\b(?!\s*:)/g, 'a clock'],
  [/\bMath\s*\.\s*random\b/g, 'chance that no seed repeats'],
  [/(?<![\w$.])(?:process|console|globalThis)\s*\./g, 'the process'],
  [/(?<![\w$.])crypto\s*\./g, 'chance that no seed repeats'],
];
const PURE_NODE_MODULES = ['node:crypto', 'node:zlib'];

const MACHINE_WORDS: readonly RegExp[] = [
  new RegExp(`/(?:${['home', 'root', 'Users', 'work', 'tmp/wt'].join('|')})/`, 'g'),
  /https?:\/\/[^\s"'/]*\bregistry\b/g,
  /\bregistry\.[a-z0-9.-]+\.[a-z]{2,}\b/g,
];
const LINES_MAX = 500;
const FUNCTION_LINES_AIM = 60;
const TABLE_FILES = [/^src\/gen\//, /\.table\.ts$/];
const VAGUE_NAMES = /^(?:utils?|helpers?|common|misc|managers?|data|info)$|-(?:utils?|helpers?|manager)$/;

const paths: readonly string[] = trackedPaths();
const sources: readonly SourceFile[] = paths
  .filter((path) => /^(?:src|cmd|test|examples|bench)\/.*\.ts$/.test(path))
  .map(readTracked);
const inSrc: readonly SourceFile[] = sources.filter((file) => file.path.startsWith('src/'));
const codeOf: ReadonlyMap<string, string> = new Map(sources.map((file) => [file.path, codeOnly(file.text)]));

/** The room of a file in `src/`; undefined for files on the roof. */
function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function floorOf(path: string): number | undefined {
  const room = roomOf(path);
  return room === undefined ? ROOF : FLOORS[room];
}

function isDoor(path: string): boolean {
  const room = roomOf(path) as string;
  return [room, ...DOORS].some((name) => path === `src/${room}/${name}.ts`);
}

function isUnder(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === place || path.startsWith(place.endsWith('/') ? place : `${place}/`));
}

function matches(file: SourceFile, text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => `${file.path}:${lineAt(text, match.index)}: ${match[0].trim()}`);
}

function relativeImports(file: SourceFile): { readonly line: number; readonly to: string }[] {
  return importsOf(file.text).flatMap(({ line, from }) => {
    const to = resolveRelative(file.path, from);
    return to === undefined ? [] : [{ line, to }];
  });
}

function none(findings: readonly string[], advice: string): void {
  assert.deepEqual(findings, [], `${advice}\n  ${findings.join('\n  ')}`);
}

/** Why a file in `src/` may not import `to`; undefined when it may. */
function refusal(path: string, to: string): string | undefined {
  if (!to.startsWith('src/')) return 'src/ imports nothing outside src/';
  const mine = floorOf(path) ?? ROOF;
  const other = floorOf(to) ?? ROOF;
  if (roomOf(path) === roomOf(to) && roomOf(path) !== undefined) return undefined;
  if (other > mine) return `floor ${mine} looks up to floor ${other}`;
  if (other === mine && mine !== ROOF) return `two rooms on floor ${mine} do not know each other`;
  if (isCore(other) && !isDoor(to)) return 'enter a core by its door';
  if (mine === 8 && isCore(other)) return 'floor 8 speaks to the NodeHandle, never to a core';
  const isRuntime = roomOf(to) === 'runtime' && !HANDLE_FILES.includes(to);
  if (mine >= 8 && isRuntime && !COMPOSITION.includes(path)) return 'only node.ts pairs ports with implementations';
  return undefined;
}

describe('tidy: rooms and floors', () => {
  it('gives every room a floor', () => {
    none(
      inSrc.filter((file) => floorOf(file.path) === undefined).map((file) => file.path),
      'a new room needs a line in the floor table',
    );
  });

  it('looks only down, and enters by the door', () => {
    const findings = inSrc.flatMap((file) =>
      relativeImports(file).flatMap(({ line, to }) => {
        const why = refusal(file.path, to);
        return why === undefined ? [] : [`${file.path}:${line}: ${to}: ${why}`];
      }),
    );
    none(findings, 'imports against the floors');
  });

  it('lets programs and examples use the public API only, and benches the doors', () => {
    const findings = sources.flatMap((file) =>
      relativeImports(file).flatMap(({ line, to }) => {
        const outside = /^(cmd|examples|bench)\//.exec(file.path)?.[1];
        if (outside === undefined || isUnder(to, [outside, ...PUBLIC])) return [];
        const floor = to.startsWith('src/') ? floorOf(to) : undefined;
        const isOpen = floor !== undefined && (floor <= 3 || (isCore(floor) && isDoor(to)));
        if (outside === 'bench' && (isOpen || to.startsWith('test/'))) return [];
        return [`${file.path}:${line}: ${to}`];
      }),
    );
    none(findings, 'import src/index.ts, src/client.ts or src/node-config.ts instead');
  });

  it('keeps floors 0 to 6 still: no promise, timer, clock, chance or process', () => {
    const still = inSrc.filter((file) => (floorOf(file.path) ?? ROOF) <= STILL_UP_TO && roomOf(file.path) !== 'gen');
    const findings = still.flatMap((file) => {
      const code = codeOf.get(file.path) as string;
      return RESTLESS.flatMap(([pattern, what]) =>
        what === 'a promise' && roomOf(file.path) === 'ports'
          ? []
          : matches(file, code, pattern).map((finding) => `${finding}: ${what}`),
      );
    });
    none(findings, 'a core is told what happened and answers with effects');
  });

  it('keeps packages and node: modules out of floors 0 to 6', () => {
    const findings = inSrc.flatMap((file) => {
      const floor = floorOf(file.path) ?? ROOF;
      if (floor > STILL_UP_TO || roomOf(file.path) === 'gen') return [];
      return importsOf(file.text)
        .filter(({ from }) => !from.startsWith('.'))
        .filter(({ from }) => !(roomOf(file.path) === 'wire' && PURE_NODE_MODULES.includes(from)))
        .map(({ line, from }) => `${file.path}:${line}: ${from}`);
    });
    none(findings, 'floors 0 to 6 depend on nothing; wire/ may call node:crypto and node:zlib');
  });

  it('imports each package in its own room only', () => {
    const findings = sources
      .filter((file) => !file.path.startsWith('test/'))
      .flatMap((file) =>
        importsOf(file.text)
          .filter(({ from }) => !from.startsWith('.') && !from.startsWith('node:'))
          .filter(({ from }) => !isUnder(file.path, PACKAGES[packageOf(from)] ?? []))
          .map(({ line, from }) => `${file.path}:${line}: ${from}`),
      );
    none(findings, 'name the package and its room in docs/decisions.md and in the table here');
  });

  it('draws no chance and reads no wall clock outside runtime/', () => {
    const findings = inSrc
      .filter((file) => roomOf(file.path) !== 'runtime')
      .flatMap((file) => matches(file, codeOf.get(file.path) as string, /\bMath\s*\.\s*random\b|\bDate\s*\.\s*now\b/g));
    none(findings, 'take a Random or a Clock by constructor');
  });
});

describe('tidy: sources', () => {
  it('has one index.ts', () => {
    none(
      sources.map((file) => file.path).filter((path) => basename(path) === 'index.ts' && path !== 'src/index.ts'),
      'inner barrels hide origins',
    );
  });

  it('imports with .ts, exports by name and keeps no state in modules', () => {
    const findings = sources.flatMap((file) => {
      const code = codeOf.get(file.path) as string;
      const withoutEnding = importsOf(file.text)
        .filter(({ from }) => from.startsWith('.') && !/\.(?:ts|json)$/.test(from))
        .map(({ line, from }) => `${file.path}:${line}: ${from}`);
      const inTests = file.path.startsWith('test/');
      return [
        ...withoutEnding,
        ...matches(file, code, /^\s*export\s+default\b/gm),
        ...(inTests ? [] : matches(file, code, /^(?:export )?(?:let|var) .*/gm)),
      ];
    });
    none(findings, 'relative imports end in .ts; named exports; no module-level let');
  });

  it('silences neither the compiler nor an error', () => {
    const findings = sources.flatMap((file) => {
      const ignores = file.path.startsWith('src/gen/') ? [] : matches(file, file.text, /@ts-(?:ignore|nocheck)\b/g);
      const unreasoned = matches(file, file.text, /\/\/ @ts-expect-error\s*$/gm);
      return [...ignores, ...unreasoned, ...emptyCatches(file)];
    });
    none(
      findings.filter((finding) => !finding.startsWith('test/tidy.test.ts')),
      'an empty catch needs its reason inside',
    );
  });

  it('uses no any', () => {
    const findings = sources
      .filter((file) => !file.path.startsWith('src/gen/'))
      .flatMap((file) =>
        matches(file, codeOf.get(file.path) as string, /(?:[:<|&,(]|\bas)\s*any\b(?!\s*[(:.])(?:\[\])?/g),
      );
    none(findings, 'unknown at the edges, a type inside');
  });

  it('gives files names that decide', () => {
    const findings = sources
      .filter((file) => !file.path.startsWith('src/gen/'))
      .filter((file) => {
        const parts = file.path.replace(/(?:\.(?:test|table|bench))?\.ts$/, '').split('/');
        return parts.some((part) => VAGUE_NAMES.test(part) || !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(part));
      })
      .map((file) => file.path);
    none(findings, 'kebab-case, named after what is inside');
  });

  it(`keeps files below ${LINES_MAX} lines`, (t) => {
    const long = sources
      .filter((file) => !TABLE_FILES.some((pattern) => pattern.test(file.path)))
      .map((file) => ({ path: file.path, lines: file.text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX);
    none(
      long.map(({ path, lines }) => `${path}: ${lines}`),
      'split by idea',
    );
    for (const finding of inSrc.flatMap(longFunctions)) t.diagnostic(`longer than a screen: ${finding}`);
  });

  it('names no machine, no registry and nobody’s folder in any tracked file', () => {
    const findings = paths
      .filter((path) =>
        /\.(?:ts|mjs|js|json|md|proto|ya?ml|sh|txt|html|css)$|(?:^|\/)(?:\.npmrc|\.gitignore|run|LICENSE)$/.test(path),
      )
      .map(readTracked)
      .flatMap((file) => MACHINE_WORDS.flatMap((pattern) => matches(file, file.text, pattern)));
    none(findings, 'a path or host of one machine is of no use on another');
  });

  it('cites documents that a reader can open', (t) => {
    const known = new Set(paths.filter((path) => path.endsWith('.md')).map((path) => basename(path)));
    const cited = sources.flatMap((file) => matches(file, file.text, /\b[a-z][a-z-]*\.md\b/g));
    for (const finding of cited.filter((one) => !known.has(one.slice(one.lastIndexOf(' ') + 1)))) {
      t.diagnostic(`not among our documents: ${finding}`);
    }
  });

  it('keeps the top level to what it was agreed to be', () => {
    const agreed = [
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'README.md',
      'LICENSE',
      'proto',
      'src',
      'test',
      'cmd',
    ];
    const allowed = new Set([...agreed, 'grafana', 'docs', 'examples', 'bench', '.ci', '.npmrc', '.gitignore']);
    const top = new Set(paths.map((path) => path.split('/')[0] as string));
    none(
      [...top].filter((name) => !allowed.has(name)),
      'the top level is fixed',
    );
  });
});

/** Empty handlers of errors with no comment inside that says why nothing is to be done. */
function emptyCatches(file: SourceFile): string[] {
  const code = codeOf.get(file.path) as string;
  const empty = /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}|\.catch\(\s*\(\w*\)\s*=>\s*\{\s*\}\s*\)/g;
  return [...code.matchAll(empty)]
    .filter((match) => !/\/[/*]/.test(file.text.slice(match.index, match.index + match[0].length)))
    .map((match) => `${file.path}:${lineAt(file.text, match.index)}: ${match[0]}`);
}

/** Named functions and methods, measured from their first line to the brace that closes them at the same indent. */
function longFunctions(file: SourceFile): string[] {
  const lines = (codeOf.get(file.path) as string).split('\n');
  return lines.flatMap((line, at) => {
    const head =
      /^(\s*)(?:export )?(?:async )?(?:function\b|(?:(?:static|async|override|get|set) )*#?[a-z]\w*\()(?!.*;$).*\{$/i.exec(
        line,
      );
    if (head === null || /^\s*(?:if|for|while|switch|catch|return)\b/.test(line)) return [];
    const end = lines.findIndex((other, index) => index > at && other.startsWith(`${head[1]}}`));
    return end - at + 1 > FUNCTION_LINES_AIM ? [`${file.path}:${at + 1} (${end - at + 1} lines)`] : [];
  });
}
