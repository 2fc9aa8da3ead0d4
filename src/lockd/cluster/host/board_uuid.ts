/** A uuid as the kernel prints that of the firmware. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * What vendors leave in the place of a uuid, in either order of its bytes: boards of different owners have
 * these. Those that have only a few different digits need not be named.
 */
const LEFT_BY_VENDORS: ReadonlySet<string> = new Set([
  "03000200-0400-0500-0006-000700080009",
  "00020003-0004-0005-0006-000700080009",
  "00010203-0405-0607-0809-0a0b0c0d0e0f",
  "03020100-0504-0706-0809-0a0b0c0d0e0f",
  "12345678-1234-5678-90ab-cddeefaabbcc",
  "78563412-3412-7856-90ab-cddeefaabbcc",
  "12345678-9abc-def0-1234-56789abcdef0",
  "78563412-bc9a-f0de-1234-56789abcdef0",
  "01234567-89ab-cdef-0123-456789abcdef",
  "67452301-ab89-efcd-0123-456789abcdef",
  "4c4c4544-0000-2010-8020-80c04f202020",
]);

/** Fewer different digits than these no uuid has that is one: of 10^11 random ones not one. */
const FEWEST_DIGITS = 6;

/**
 * Why a firmware's uuid does not tell its board from all others.
 *
 * @param uuid as the kernel prints it, in small letters
 * @returns undefined for one that is not known to be wrong
 */
export function wrongWithUuid(uuid: string): string | undefined {
  if (!UUID.test(uuid)) return `the firmware's uuid, '${uuid}', is none`;
  const digits = new Set(uuid.replaceAll("-", ""));
  if (digits.size >= FEWEST_DIGITS && !LEFT_BY_VENDORS.has(uuid)) return undefined;
  return `the firmware's uuid, ${uuid}, is what vendors leave where none was set: other machines have it too`;
}
