/** Standard base64 (RFC 4648 §4), padded, as Go's encoding/base64 writes it. Buffers and globals of a platform are not needed. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const WELL_FORMED = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const VALUES: ReadonlyMap<string, number> = new Map([...ALPHABET].map((letter, value) => [letter, value]));

export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const group = (a << 16) | (b << 8) | c;
    const left = bytes.length - at;
    text += letter(group >> 18) + letter(group >> 12);
    text += (left > 1 ? letter(group >> 6) : '=') + (left > 2 ? letter(group) : '=');
  }
  return text;
}

/** Undefined when `text` is not padded standard base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (!WELL_FORMED.test(text)) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let from = 0, to = 0; from < text.length; from += 4, to += 3) {
    let group = 0;
    for (let i = 0; i < 4; i++) group = (group << 6) | (VALUES.get(text.charAt(from + i)) ?? 0);
    bytes[to] = group >> 16;
    // Writes behind the end of a typed array are ignored: the last group may be short.
    bytes[to + 1] = group >> 8;
    bytes[to + 2] = group;
  }
  return bytes;
}

function letter(bits: number): string {
  return ALPHABET.charAt(bits & 0x3f);
}
