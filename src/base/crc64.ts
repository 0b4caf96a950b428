/**
 * CRC-64/ISO (x^64 + x^4 + x^3 + x + 1, reflected, begun and ended with all ones), as Go's `hash/crc64` computes it. No tables: the
 * polynomial has its few terms so close together that what 32 bits give back is those bits, shifted four ways, and never reaches them again.
 */

/** Both halves unsigned. */
export interface Crc64 {
  readonly high: number;
  readonly low: number;
}

const encoder: InstanceType<typeof TextEncoder> = new TextEncoder();

export function crc64IsoOfBytes(bytes: Uint8Array): Crc64 {
  let high = -1;
  let low = -1;
  let at = 0;
  for (const whole = bytes.length - 3; at < whole; at += 4) {
    const word =
      low ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    low = high ^ (word << 31) ^ (word << 29) ^ (word << 28);
    high = word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
  }
  for (; at < bytes.length; at++) {
    const byte = (low ^ (bytes[at] as number)) & 0xff;
    low = (low >>> 8) | (high << 24);
    high = (high >>> 8) ^ (byte << 24) ^ (byte << 23) ^ (byte << 21) ^ (byte << 20);
  }
  return { high: ~high >>> 0, low: ~low >>> 0 };
}

/** Of the text in UTF-8. */
export function crc64IsoOfText(text: string): Crc64 {
  let high = -1;
  let low = -1;
  let at = 0;
  /** All units seen so far: above 127 when one of them takes more than a byte. */
  let seen = 0;
  for (const whole = text.length - 3; at < whole; at += 4) {
    const a = text.charCodeAt(at);
    const b = text.charCodeAt(at + 1);
    const c = text.charCodeAt(at + 2);
    const d = text.charCodeAt(at + 3);
    seen |= a | b | c | d;
    const word = low ^ (a | (b << 8) | (c << 16) | (d << 24));
    low = high ^ (word << 31) ^ (word << 29) ^ (word << 28);
    high = word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
  }
  for (; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    seen |= unit;
    const byte = (low ^ unit) & 0xff;
    low = (low >>> 8) | (high << 24);
    high = (high >>> 8) ^ (byte << 24) ^ (byte << 23) ^ (byte << 21) ^ (byte << 20);
  }
  if (seen > 0x7f) return crc64IsoOfBytes(encoder.encode(text));
  return { high: ~high >>> 0, low: ~low >>> 0 };
}
