/** Bytes with pieces at offsets: text, or numbers of 4 or 8 bytes. */
export function header(
  size: number,
  pieces: readonly (readonly [number, string | number | bigint, "little"?])[],
): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [at, value, order] of pieces) {
    if (typeof value === "string") {
      for (let index = 0; index < value.length; index++) bytes[at + index] = value.charCodeAt(index);
    } else if (typeof value === "bigint") view.setBigUint64(at, value, order === "little");
    else view.setUint32(at, value, order === "little");
  }
  return bytes;
}

/** A qcow2 image of version 3, of 1 MiB. */
export const QCOW3 = [[0, "QFI\xfb"], [4, 3], [20, 16], [24, 1048576n], [100, 104]] as const;
