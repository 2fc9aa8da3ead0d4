/** Writes a pointer or size_t (64-bit, little endian) into native memory. Values are below 2^53. */
export function setPointerField(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}
