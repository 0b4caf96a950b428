/** Golden bytes from real peers, kept in test/vectors. */
import { readFileSync } from 'node:fs';

/** The parsed content of a file in test/vectors/gossip. The caller states its shape. */
export function vectors<T>(file: string): T {
  // Built tests run from dist/test; the vectors stay where they are.
  const path = new URL(`../../test/vectors/gossip/${file}`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
