/** The judge on trial: histories whose verdict is known, and others that are judged by trying every order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Chance } from '../chance.ts';
import { checkLinearizable, partition } from './linearizability.ts';
import { describeIllegal, EMPTY_REGISTER, REGISTER, type RegisterInput, type RegisterOperation } from './register.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** A line per operation: client, call, return (or -), what, and what came of it. */
function history(text: string): RegisterOperation[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [client, call, end, what, value, arrow, output] = line.trim().split(/\s+/);
      const isExchange = what === 'exchange';
      const [expected, wanted] = isExchange ? (value as string).split(':').map(Number) : [];
      const input: RegisterInput =
        what === 'read'
          ? { kind: 'read', key: 'k' }
          : isExchange
            ? { kind: 'exchange', key: 'k', expected: expected as number, value: wanted as number }
            : { kind: 'write', key: 'k', value: Number(value) };
      const heard = what === 'read' ? value : arrow === '=' ? output : value;
      const isHeard = end !== '-';
      return {
        client: Number(client),
        call: Number(call),
        return: isHeard ? Number(end) : NEVER,
        input,
        output: isHeard ? Number(heard) : undefined,
      };
    });
}

const LEGAL: Readonly<Record<string, string>> = {
  'nothing but a read of what never was written': '1 1 2 read 0',
  'one after the other': `1 1 2 write 5
    2 3 4 read 5
    1 5 6 write 6
    2 7 8 read 6`,
  'a read beside a write sees it': `1 1 4 write 5
    2 2 3 read 5`,
  'a read beside a write does not see it yet': `1 1 4 write 5
    2 2 3 read 0`,
  'two writes at once, seen in either order': `1 1 4 write 5
    2 2 3 write 6
    3 5 6 read 5`,
  'the same, the other way round': `1 1 4 write 5
    2 2 3 write 6
    3 5 6 read 6`,
  'a write that nobody heard of took effect late': `1 1 - write 5
    2 2 3 read 0
    2 4 5 read 5`,
  'a write that nobody heard of never took effect': `1 1 - write 5
    2 2 3 read 0
    2 4 5 read 0`,
  'two reads of a slow write, the later one sees it': `1 1 8 write 5
    2 2 3 read 0
    3 4 5 read 5
    2 6 7 read 5`,
  'an exchange that was lucky': `1 1 2 write 5
    2 3 4 exchange 5:6 = 5
    1 5 6 read 6`,
  'an exchange that was not': `1 1 2 write 5
    2 3 4 exchange 4:6 = 5
    1 5 6 read 5`,
  'two exchanges at once, one is lucky': `1 1 2 write 5
    2 3 6 exchange 5:6 = 5
    3 4 5 exchange 5:7 = 6
    1 7 8 read 6`,
  'an exchange that nobody heard of explains a read': `1 1 2 write 5
    2 3 - exchange 5:6
    1 4 5 read 6`,
};

const ILLEGAL: Readonly<Record<string, string>> = {
  'a read of what never was written': '1 1 2 read 7',
  'a stale read': `1 1 2 write 5
    1 3 4 write 6
    2 5 6 read 5`,
  'a lost write': `1 1 2 write 5
    2 3 4 read 0`,
  'a read from the future': `2 1 2 read 5
    1 3 4 write 5`,
  'a read that goes back': `1 1 8 write 5
    2 2 3 read 5
    3 4 5 read 0`,
  'two readers of two writes disagree about their order': `1 1 2 write 5
    2 3 12 write 6
    3 4 5 read 6
    4 6 7 read 5`,
  'two who share nothing see two orders': `1 1 10 write 5
    2 2 11 write 6
    3 3 4 read 5
    3 5 6 read 6
    3 7 8 read 5`,
  'two exchanges are lucky with one value': `1 1 2 write 5
    2 3 6 exchange 5:6 = 5
    3 4 5 exchange 5:7 = 5`,
  'an exchange that was lucky and is not seen': `1 1 2 write 5
    2 3 4 exchange 5:6 = 5
    1 5 6 read 5`,
  'a write that nobody heard of takes effect before it was asked for': `2 1 2 read 5
    1 3 - write 5`,
  'a write that nobody heard of cannot come twice': `1 1 - write 5
    2 2 3 read 5
    2 4 5 write 6
    3 6 7 read 5`,
};

/** A history that one register gave to several clients: each operation takes effect at some instant of its own. */
function randomHistory(chance: Chance, count: number, clients: number, lost = 0.1): RegisterOperation[] {
  const plans = Array.from({ length: count }, (_, i) => ({ client: i % clients, at: 0, call: 0, end: 0 }));
  const free = new Map<number, number>();
  for (const plan of plans) {
    plan.call = (free.get(plan.client) ?? 0) + chance.between(0.01, 3);
    plan.at = plan.call + chance.between(0.01, 3);
    plan.end = plan.at + chance.between(0.01, 3);
    free.set(plan.client, plan.end);
  }
  const operations = new Map<object, RegisterOperation>();
  let state = EMPTY_REGISTER;
  for (const plan of [...plans].sort((a, b) => a.at - b.at)) {
    const isLost = chance.isHit(lost);
    const hasEffect = !isLost || chance.isHit(0.5);
    const value = 1 + chance.below(4);
    const expected = chance.below(5);
    const input = chance.pick<RegisterInput>([
      { kind: 'read', key: 'k' },
      { kind: 'write', key: 'k', value },
      { kind: 'exchange', key: 'k', expected, value },
    ]) as RegisterInput;
    const output = input.kind === 'write' ? value : state;
    if (hasEffect && (input.kind === 'write' || (input.kind === 'exchange' && state === expected))) state = value;
    const { client, call, end } = plan;
    operations.set(plan, {
      client,
      call,
      input,
      return: isLost ? NEVER : end,
      output: isLost ? undefined : output,
    });
  }
  return plans.map((plan) => operations.get(plan) as RegisterOperation);
}

/** Every order of every choice of those that nobody heard of. */
function bruteForce(operations: readonly RegisterOperation[]): boolean {
  const isFree = (index: number, left: ReadonlySet<number>): boolean =>
    [...left].every(
      (other) => (operations[other] as RegisterOperation).return > (operations[index] as RegisterOperation).call,
    );
  const goOn = (state: number, left: ReadonlySet<number>): boolean => {
    if ([...left].every((index) => operations[index]?.return === NEVER)) return true;
    return [...left].some((index) => {
      if (!isFree(index, left)) return false;
      const { input, output } = operations[index] as RegisterOperation;
      const next = REGISTER.step(state, input, output);
      return next !== undefined && goOn(next, new Set([...left].filter((other) => other !== index)));
    });
  };
  return goOn(EMPTY_REGISTER, new Set(operations.keys()));
}

const isLinearizable = (operations: readonly RegisterOperation[]): boolean =>
  checkLinearizable(REGISTER, operations).kind === 'linearizable';

describe('linearizability', () => {
  for (const [name, text] of Object.entries(LEGAL))
    it(`allows: ${name}`, () => assert.ok(isLinearizable(history(text))));

  for (const [name, text] of Object.entries(ILLEGAL))
    it(`refuses: ${name}`, () => {
      const operations = history(text);
      const verdict = checkLinearizable(REGISTER, operations);
      assert.equal(verdict.kind, 'illegal');
      if (verdict.kind === 'illegal') assert.match(describeIllegal(operations, verdict), /there is no place for \[/);
    });

  it('judges 10,000 random small histories as trying every order does', () => {
    const chance = new Chance(1, 'small histories');
    let illegal = 0;
    for (let i = 0; i < 10_000; i++) {
      const operations = randomHistory(chance, 2 + chance.below(5), 1 + chance.below(4));
      const index = chance.below(operations.length);
      const changed = operations[index] as RegisterOperation;
      if (chance.isHit(0.6) && changed.output !== undefined)
        operations[index] = { ...changed, output: chance.below(5) };
      const expected = bruteForce(operations);
      if (!expected) illegal += 1;
      assert.equal(isLinearizable(operations), expected, JSON.stringify(operations));
    }
    assert.ok(illegal > 1_000 && illegal < 9_000, `${illegal} were illegal`);
  });

  it('allows what a register gave to many clients, and refuses it with one read of a value never written', () => {
    const chance = new Chance(2, 'large histories');
    for (let i = 0; i < 100; i++) {
      const operations = randomHistory(chance, 100, 4, 0.02);
      assert.ok(isLinearizable(operations));
      const reads = operations.filter(({ input, output }) => input.kind === 'read' && output !== undefined);
      const read = chance.pick(reads) as RegisterOperation;
      operations[operations.indexOf(read)] = { ...read, output: 99 };
      assert.ok(!isLinearizable(operations));
    }
  });

  it('judges 10,000 operations of 10 clients on 10 keys, each key by itself', (t) => {
    const chance = new Chance(3, 'long history');
    const operations: RegisterOperation[] = [];
    for (let key = 0; key < 10; key++)
      for (const operation of randomHistory(chance, 1_000, 10, 0.005))
        operations.push({ ...operation, input: { ...operation.input, key: String(key) } });
    const begin = process.cpuUsage().user;
    const parts = partition(operations, ({ key }) => key);
    assert.equal(parts.size, 10);
    for (const part of parts.values()) assert.ok(isLinearizable(part));
    t.diagnostic(`${((process.cpuUsage().user - begin) / 1e6).toFixed(2)} s of CPU`);
  });

  it('says so when there are too many orders to try', () => {
    const operations = Array.from({ length: 14 }, (_, i): RegisterOperation => {
      const input: RegisterInput = { kind: 'write', key: 'k', value: i + 1 };
      return { client: i, call: i, return: 100 + i, input, output: i + 1 };
    });
    operations.push({ client: 99, call: 200, return: 201, input: { kind: 'read', key: 'k' }, output: 77 });
    assert.equal(checkLinearizable(REGISTER, operations, 1_000).kind, 'undecided');
  });
});
