/** Golden bytes from real peers, kept in test/vectors. */
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { utf8 } from '../src/base/bytes.ts';
import { type GossipGuard, NO_GUARD } from '../src/wire/memberlist/guard.ts';

/** The parsed content of a file in test/vectors/gossip. The caller states its shape. */
export function vectors<T>(file: string): T {
  // Built tests run from dist/test; the vectors stay where they are.
  const path = new URL(`../../test/vectors/gossip/${file}`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

/** One row of the table in the output of the tests: how many of a file were read, and how many of them we write byte for byte. */
export function tellVectors(t: TestContext, file: string, row: string): void {
  t.diagnostic(`${file.padEnd(24)} ${row}`);
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const KEY_16 = '30313233343536373839616263646566';
const KEY_32 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const SCENARIO_KEYS: Readonly<Record<string, readonly string[]>> = {
  enc2: [KEY_16],
  enccomp2: [KEY_32],
  fake_enccomp: [KEY_16, KEY_32],
  keys2: [KEY_16, KEY_32],
  new_labelenc: [KEY_16],
};

/** What the nodes of a captured scenario were told of keys and labels. */
export function scenarioGuard(scenario: string): GossipGuard {
  const keys = (SCENARIO_KEYS[scenario] ?? []).map(fromHex);
  const label = scenario.startsWith('new_label') ? utf8('cluster-a') : NO_GUARD.label;
  return { ...NO_GUARD, keys, label };
}
