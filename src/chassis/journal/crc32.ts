// CRC-32 (IEEE 802.3), four bytes at a time: table k tells what a byte does to the remainder k bytes further
// on.
const TABLE = new Int32Array(4 * 256);
for (let index = 0; index < 256; index++) {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ 0xedb88320;
  TABLE[index] = value;
}
for (let index = 256; index < TABLE.length; index++) {
  const before = TABLE[index - 256] as number;
  TABLE[index] = (before >>> 8) ^ (TABLE[before & 0xff] as number);
}

/** CRC-32 (IEEE 802.3) of `bytes[start, end)` as a signed 32-bit number, going on from `seed`. */
export function crc32(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let crc = ~seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    crc ^= (bytes[at] as number) | (bytes[at + 1] as number) << 8 | (bytes[at + 2] as number) << 16 |
      (bytes[at + 3] as number) << 24;
    crc = (TABLE[768 + (crc & 0xff)] as number) ^ (TABLE[512 + ((crc >>> 8) & 0xff)] as number) ^
      (TABLE[256 + ((crc >>> 16) & 0xff)] as number) ^ (TABLE[crc >>> 24] as number);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc;
}
