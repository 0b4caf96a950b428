import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compilePattern, PATTERN_LENGTH_MAX } from '../src/base/pattern.ts';

function matches(pattern: string, text: string): boolean | undefined {
  return compilePattern(pattern)?.(text);
}

describe('patterns of query filters', () => {
  it('match anywhere in the text, as RE2 does', () => {
    const table: readonly (readonly [pattern: string, text: string, wanted: boolean])[] = [
      ['', '', true],
      ['db', 'a-db-1', true],
      ['^db$', 'a-db-1', false],
      ['^web', 'web1', true],
      ['^(web|db)[0-9]+$', 'db42', true],
      ['^(?:web|db)\\d{2,3}$', 'web1', false],
      ['(?i)^WEST$', 'west', true],
      ['(?i:W)est', 'west', true],
      ['a.c', 'a\nc', false],
      ['(?s)a.c', 'a\nc', true],
      ['(?m)^b$', 'a\nb\nc', true],
      ['^b$', 'a\nb\nc', false],
      ['\\bcat\\b', 'a cat!', true],
      ['\\Bcat', 'concat', true],
      ['[^a-c]', 'abc', false],
      ['[]a]+$', ']]a', true],
      ['[[:alpha:]]+-[[:^digit:]]', 'ab-x', true],
      ['\\x41\\x{1F600}', 'A\u{1F600}', true],
      ['^.$', '\u{1F600}', true],
      ['a{,2}', 'a{,2}', true],
      ['\\A\\.\\z', '.', true],
      ['(?P<name>x)*y', 'xxy', true],
      ['x*?y+?', 'y', true],
    ];
    for (const [pattern, text, wanted] of table) assert.equal(matches(pattern, text), wanted, `${pattern} on ${text}`);
  });

  it('that are not understood are no patterns', () => {
    const bad = [
      '(',
      ')',
      'a)',
      '[',
      '[b-a]',
      '*',
      'a**',
      '\\',
      '\\pL',
      '\\Qa',
      '(?=a)',
      '(?U)a',
      'a{1001}',
      'a{2,1}',
      '[[:nope:]]',
    ];
    for (const pattern of bad) assert.equal(compilePattern(pattern), undefined, pattern);
    assert.equal(compilePattern('a'.repeat(PATTERN_LENGTH_MAX + 1)), undefined);
    assert.equal(compilePattern('(a{100}){100}'), undefined);
    assert.equal(compilePattern('('.repeat(100) + ')'.repeat(100)), undefined);
  });

  it('take no more time for a hostile pattern than for an honest one', () => {
    const text = `${'a'.repeat(500)}!`;
    const before = performance.now();
    for (const pattern of ['(a+)+$', '(a|a)*b', '((((){1000}){1000}){1000}){1000}', '(a?){90}a{90}$', '(.*)*x']) {
      assert.equal(matches(pattern, text), pattern.includes('{1000}'), pattern);
    }
    assert.ok(performance.now() - before < 2_000);
  });

  it('agree with the engine of the language where both have the same syntax', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '\\w', '^', '$', '\\b', '-');
    const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
      pattern: fc.oneof(
        { depthSize: 'small' },
        atom,
        fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
        fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(${a}|${b})`),
        fc
          .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '{1,}'))
          .map(([a, q]) => `(?:${a})${q}`),
      ),
    }));
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '1', '-', '\n'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (source, sample) => {
        if (source.length > 80) return;
        assert.equal(matches(source, sample), new RegExp(source, 'u').test(sample), source);
      }),
      { numRuns: 3_000 },
    );
  });
});
