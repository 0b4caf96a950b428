/** Marks: in how many seeds a block ran, where it stands in the sources, and the list of those that no seed is expected to reach. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { BlockCoverage } from './block-coverage.ts';
import {
  casesIn,
  isFailureAlone,
  LIST,
  notReviewed,
  parseList,
  type Place,
  readSource,
  SourcePlaces,
} from './holes.ts';
import { Marks } from './marks.ts';
import { reportMarks } from './report.ts';

describe('marks of three seeds', () => {
  const marks = new Marks();
  let places: Place[] = [];

  before(async () => {
    const coverage = new BlockCoverage();
    await coverage.begin();
    const { runSeed } = await import('../swarm.ts');
    marks.load(await coverage.take());
    for (const seed of [11, 13, 14]) {
      assert.equal(runSeed(seed).failure, undefined);
      marks.add(await coverage.take());
    }
    coverage.end();
    const sources = new SourcePlaces();
    places = marks.blocks().flatMap((block) => sources.of(block));
  });

  const seedsOf = (file: string, text: string): number | undefined =>
    places.find((place) => place.file === file && place.text.startsWith(text))?.seeds;

  it('what every node does ran in all three, what only an operator asks for in none', () => {
    assert.equal(marks.seeds, 3);
    assert.equal(seedsOf('src/raft/raft.ts', 'step(input'), 3);
    assert.equal(seedsOf('src/cluster/permit-desk.ts', 'take('), 0);
  });

  it('a block is a line of the sources', () => {
    for (const { file, line, text } of places) assert.equal(readSource(file).split('\n')[line - 1]?.trim(), text);
  });

  it('the report ends with how many were not reached, and not reviewed', () => {
    const lines: string[] = [];
    const unknown = reportMarks(marks, (text) => lines.push(text));
    assert.match(lines.at(-1) ?? '', new RegExp(`^3 seeds, \\d+ blocks reached, .* ${unknown} not reviewed$`));
  });
});

describe('marks', () => {
  const range = (startOffset: number, endOffset: number, count: number) => ({ startOffset, endOffset, count });
  const script = (...ranges: (readonly ReturnType<typeof range>[])[]) => [
    { path: 'a.js', functions: ranges.map((of) => ({ functionName: '', ranges: of })) },
  ];

  it('are counted for the smallest piece that V8 ever told of, also from before it did', () => {
    const marks = new Marks();
    marks.load(script([range(0, 100, 1)], [range(10, 90, 0)]));
    // Nothing inside differs from the function; then one block does, then two beside each other do.
    marks.add(script([range(10, 90, 4)]));
    marks.add(script([range(10, 90, 1), range(20, 40, 0)]));
    marks.add(script([range(10, 90, 3), range(20, 30, 2), range(30, 40, 0)]));
    assert.deepEqual(
      marks.blocks().map(({ start, end, seeds }) => [start, end, seeds]),
      [
        [10, 20, 3],
        [20, 30, 2],
        [30, 40, 1],
      ],
    );
  });

  it('what ran while a file was loaded is none', () => {
    const marks = new Marks();
    marks.load(script([range(0, 100, 1)], [range(10, 40, 1), range(20, 30, 0)], [range(50, 60, 0)]));
    marks.add([]);
    assert.deepEqual(
      marks.blocks().map(({ start, end }) => [start, end]),
      [
        [20, 30],
        [50, 60],
      ],
    );
  });

  it('cases of a switch are told apart', () => {
    const code = "switch (a) {\n  case 'b':\n    if (c)\n      return;\n  case 'd': {\n  }\n  default:\n}";
    assert.deepEqual(
      casesIn(code, { start: 12, end: code.length - 1 }).map((at) => code.slice(at).split('\n', 1)[0]),
      ["case 'b':", "case 'd': {", 'default:'],
    );
    assert.deepEqual(casesIn('a;  b;', { start: 2, end: 6 }), [4]);
    assert.deepEqual(casesIn('a;  ', { start: 2, end: 4 }), []);
  });

  it('broken invariants are none', () => {
    for (const code of [
      "throw new Error('a');",
      '{ throw new A(\n  b,\n); }',
      'default:\n  unreachable(a);',
      ' }\n',
      'break;',
    ])
      assert.ok(isFailureAlone(code), code);
    for (const code of ['return;', '{ a();\n throw b; }', 'throw a;\n b();', 'case 1:\n return c;'])
      assert.ok(!isFailureAlone(code), code);
  });
});

describe(`the list ${LIST}`, () => {
  it('has a file, the line that a block begins in, and a reason', () => {
    assert.deepEqual(parseList('# why\n\nsrc/a.ts | if (a | b) { | never asked\n'), [
      { file: 'src/a.ts', text: 'if (a | b) {', reason: 'never asked' },
    ]);
    assert.throws(() => parseList('src/a.ts | if (a)'), /:1 is not/);
    const hole: Place = { file: 'src/a.ts', line: 7, text: 'b();', seeds: 0 };
    assert.deepEqual(notReviewed([hole], [{ file: 'src/a.ts', text: 'c();', reason: '' }]), [hole]);
    assert.deepEqual(notReviewed([hole], [{ file: 'src/a.ts', text: 'b();', reason: '' }]), []);
    assert.deepEqual(notReviewed([hole], [{ file: 'src/a.ts', text: '*', reason: '' }]), []);
  });

  it('names lines that are there, each once', () => {
    const list = parseList(readSource(LIST));
    const names = list.map(({ file, text }) => `${file} | ${text}`);
    assert.deepEqual(
      names.filter((name, place) => names.indexOf(name) !== place),
      [],
    );
    for (const { file, text, reason } of list) {
      const lines = readSource(file).split('\n');
      assert.ok(text === '*' || lines.some((line) => line.trim() === text), `${file} has no line "${text}"`);
      assert.ok(reason.length > 3, `${file} | ${text} has no reason`);
    }
  });
});
