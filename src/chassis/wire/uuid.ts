const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const SHAPE = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** Bytes of a uuid. */
export const UUID_SIZE = 16;

/** 16 bytes as text: lower case, with dashes. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = (at: number) => HEX[bytes[at] as number] as string;
  return hex(0) + hex(1) + hex(2) + hex(3) + "-" + hex(4) + hex(5) + "-" + hex(6) + hex(7) + "-" +
    hex(8) + hex(9) + "-" + hex(10) + hex(11) + hex(12) + hex(13) + hex(14) + hex(15);
}

/** The 16 bytes of a uuid in text, upper or lower case, with or without dashes; undefined when it is none. */
export function parseUuid(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!SHAPE.test(text)) return undefined;
  const digits = text.replaceAll("-", "");
  const bytes = new Uint8Array(UUID_SIZE);
  for (let at = 0; at < UUID_SIZE; at++) bytes[at] = parseInt(digits.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}
