/** CRC-32 with the IEEE polynomial, as zlib has it. `123456789` gives cbf43926. (node:zlib offers it only from Node 20.15 on.) */

const POLYNOMIAL = 0xedb88320;
const TABLE: Uint32Array = buildTable();

export function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function buildTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let word = n;
    for (let bit = 0; bit < 8; bit++) word = word & 1 ? (word >>> 1) ^ POLYNOMIAL : word >>> 1;
    table[n] = word >>> 0;
  }
  return table;
}
