/** MurmurHash3 for x86, 32 bits, seed 0 (Austin Appleby, public domain). Quick and even; no defence against keys chosen to collide. */

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

const encoder: InstanceType<typeof TextEncoder> = new TextEncoder();

export function murmur32OfBytes(bytes: Uint8Array): number {
  let hash = 0;
  let at = 0;
  for (const whole = bytes.length - 3; at < whole; at += 4) {
    hash = mixed(
      hash,
      (bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24),
    );
  }
  let rest = 0;
  for (let shift = 0; at < bytes.length; at++, shift += 8) rest |= (bytes[at] as number) << shift;
  return finished(hash ^ scrambled(rest), bytes.length);
}

/** Of the text in UTF-8. */
export function murmur32OfText(text: string): number {
  let hash = 0;
  let at = 0;
  /** All units seen so far: above 127 when one of them takes more than a byte. */
  let seen = 0;
  for (const whole = text.length - 3; at < whole; at += 4) {
    const a = text.charCodeAt(at);
    const b = text.charCodeAt(at + 1);
    const c = text.charCodeAt(at + 2);
    const d = text.charCodeAt(at + 3);
    seen |= a | b | c | d;
    hash = mixed(hash, a | (b << 8) | (c << 16) | (d << 24));
  }
  let rest = 0;
  for (let shift = 0; at < text.length; at++, shift += 8) {
    const unit = text.charCodeAt(at);
    seen |= unit;
    rest |= unit << shift;
  }
  if (seen > 0x7f) return murmur32OfBytes(encoder.encode(text));
  return finished(hash ^ scrambled(rest), text.length);
}

/** Of eight bytes: two words of 32 bits, each lowest byte first. */
export function murmur32OfWords(low: number, high: number): number {
  return finished(mixed(mixed(0, low), high), 8);
}

function mixed(hash: number, word: number): number {
  const sum = hash ^ scrambled(word);
  return (Math.imul((sum << 13) | (sum >>> 19), 5) + 0xe6546b64) | 0;
}

function scrambled(word: number): number {
  const product = Math.imul(word, C1);
  return Math.imul((product << 15) | (product >>> 17), C2);
}

function finished(hash: number, size: number): number {
  let word = hash ^ size;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
