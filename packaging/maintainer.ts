import process from "node:process";

/** Who answers for packages that nobody has put a name to. */
const NOBODY_IN_PARTICULAR = "deno-virtlockd maintainers <deno-virtlockd@localhost>";

/**
 * Name and address of the packager, `NAME <ADDRESS>`: what VIRTLOCKD_MAINTAINER says. Every file of the
 * packages that names one has
 * @MAINTAINER@ in its place.
 *
 * @throws Error when the variable has another form
 */
export function maintainer(): string {
  const set = process.env["VIRTLOCKD_MAINTAINER"];
  if (set === undefined || set === "") return NOBODY_IN_PARTICULAR;
  if (!/^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$/.test(set)) {
    throw new Error(`Read VIRTLOCKD_MAINTAINER: got "${set}", want "NAME <ADDRESS>"`);
  }
  return set;
}
