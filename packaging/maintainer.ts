import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** The file that has the name and address. Source packages have the packager's in it. */
export const MAINTAINER_FILE = "packaging/maintainer.txt";

/**
 * Name and address of the packager, `NAME <ADDRESS>`: what VIRTLOCKD_MAINTAINER says, or
 * packaging/maintainer.txt. Every file of the packages that names one has @MAINTAINER@ in its place.
 *
 * @throws Error when it has another form
 */
export function maintainer(): string {
  const set = process.env["VIRTLOCKD_MAINTAINER"] ?? "";
  if (set !== "") return checked("VIRTLOCKD_MAINTAINER", set);
  const text = readFileSync(join(import.meta.dirname ?? "packaging", "..", MAINTAINER_FILE), "utf8");
  return checked(MAINTAINER_FILE, text.trimEnd());
}

function checked(source: string, text: string): string {
  if (/^[^<>\n]+ <[^<>\s]+@[^<>\s]+>$/.test(text)) return text;
  throw new Error(`Read ${source}: got "${text}", want "NAME <ADDRESS>"`);
}
