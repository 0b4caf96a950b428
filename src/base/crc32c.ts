/** CRC-32C (Castagnoli), slicing by eight. `123456789` gives e3069283. Not the polynomial of zlib. */

const POLYNOMIAL = 0x82f63b78;
const tables: readonly Uint32Array[] = buildTables();

/** The checksum of `bytes`, continuing from `seed` (the checksum of what came before; 0 at the start). */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as readonly [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  let crc = ~seed;
  let i = 0;
  const whole = bytes.length - (bytes.length % 8);
  for (; i < whole; i += 8) {
    const low =
      crc ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24));
    crc =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[i + 4] as number] as number) ^
      (t2[bytes[i + 5] as number] as number) ^
      (t1[bytes[i + 6] as number] as number) ^
      (t0[bytes[i + 7] as number] as number);
  }
  for (; i < bytes.length; i++) crc = (t0[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function buildTables(): Uint32Array[] {
  const built = Array.from({ length: 8 }, () => new Uint32Array(256));
  const first = built[0] as Uint32Array;
  for (let n = 0; n < 256; n++) {
    let word = n;
    for (let bit = 0; bit < 8; bit++) word = word & 1 ? (word >>> 1) ^ POLYNOMIAL : word >>> 1;
    first[n] = word >>> 0;
  }
  for (let t = 1; t < 8; t++) {
    const before = built[t - 1] as Uint32Array;
    const table = built[t] as Uint32Array;
    for (let n = 0; n < 256; n++) {
      const word = before[n] as number;
      table[n] = ((first[word & 0xff] as number) ^ (word >>> 8)) >>> 0;
    }
  }
  return built;
}
