// Plain byte arithmetic: as fast as a DataView here, and needs none made for each buffer.

/** The unsigned 32-bit integer at `at`, which must be at least four bytes before the end. */
export function getU32(bytes: Uint8Array, at: number): number {
  const high = (bytes[at] as number) << 24 | (bytes[at + 1] as number) << 16;
  return (high | (bytes[at + 2] as number) << 8 | (bytes[at + 3] as number)) >>> 0;
}

/** Writes the low 32 bits of an integer at `at`, which must be at least four bytes before the end. */
export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
