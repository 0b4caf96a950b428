/** A running hash (FNV-1a, 32 bits twice) of every effect, its instant and its node: two runs are one history when it is the same. */
import type { NetworkEffect } from './node.ts';

export class Fingerprint {
  #low = 0x811c9dc5;
  #high = 0x01234567;

  get text(): string {
    return hex(this.#high) + hex(this.#low);
  }

  add(at: number, node: string, effect: NetworkEffect): void {
    // Microseconds, in two halves: virtual days fit.
    const micros = Math.round(at * 1_000);
    this.#word(micros % 0x1_0000_0000);
    this.#word(Math.floor(micros / 0x1_0000_0000));
    for (let i = 0; i < node.length; i++) this.#byte(node.charCodeAt(i));
    this.#byte(effect.kind.length);
    if ('bytes' in effect) for (const byte of effect.bytes) this.#byte(byte);
    if ('stream' in effect) this.#word(effect.stream);
    if ('to' in effect) for (let i = 0; i < effect.to.host.length; i++) this.#byte(effect.to.host.charCodeAt(i));
  }

  #word(word: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.#byte((word >>> shift) & 255);
  }

  #byte(byte: number): void {
    this.#low = Math.imul(this.#low ^ byte, 0x01000193);
    this.#high = Math.imul(this.#high ^ (byte + 1), 0x01000193) ^ (this.#low >>> 13);
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
