import { readFileSync } from "node:fs";
import { join } from "node:path";
import { maintainer } from "./maintainer.ts";
import { manifestVersion, programVersion } from "./program_version.ts";
import { ROOT } from "./tool.ts";

/** The changelog of the packages of every kind. */
export const CHANGELOG_FILE = "packaging/deb/changelog";

/** One entry of it. */
interface ChangelogEntry {
  /** Version of the package: the program's, a hyphen, and which package of it. */
  readonly version: string;
  /** What changed, a sentence or several each. */
  readonly changes: readonly string[];
  /** The day and time as RFC 5322 writes them. */
  readonly date: string;
}

/**
 * The changelog as Debian has it, with the packager's name.
 *
 * @throws Error when its newest entry is of another version than deno.json's
 */
export function debianChangelog(): string {
  const text = readFileSync(join(ROOT, CHANGELOG_FILE), "utf8").replaceAll(
    "@MAINTAINER@",
    maintainer(),
  );
  const newest = newestEntry(text).version;
  if (!newest.startsWith(`${manifestVersion()}-`)) {
    throw new Error(
      `Package: ${CHANGELOG_FILE} begins with ${newest}, want ${manifestVersion()}-N as deno.json has it`,
    );
  }
  if (programVersion() === manifestVersion()) return text;
  return `deno-virtlockd (${programVersion()}-1) unstable; urgency=medium\n\n` +
    `  * Version set by the packager.\n\n -- ${maintainer()}  ${newestEntry(text).date}\n\n${text}`;
}

/** Version of the package: the program's, and which package of it. */
export function packageVersion(): string {
  return newestEntry(debianChangelog()).version;
}

/**
 * What the packages give as the time of their files, so that two builds of the same sources are the same: the
 * newest entry's, or that of SOURCE_DATE_EPOCH, in seconds since 1970.
 */
export function packageTime(): number {
  const set = Deno.env.get("SOURCE_DATE_EPOCH");
  return set === undefined ? Date.parse(newestEntry(debianChangelog()).date) / 1000 : Number(set);
}

/** The changelog as a spec file has it. */
export function rpmChangelog(): string {
  return parseEntries(debianChangelog()).map(({ version, changes, date }) => {
    const [weekday = "", day = "", month = "", year = ""] = date.replace(",", "").split(" ");
    const head = `* ${weekday} ${month} ${day.padStart(2, "0")} ${year} ${maintainer()} - ${version}`;
    return [head, ...changes.map((change) => `- ${change}`)].join("\n") + "\n";
  }).join("\n");
}

function newestEntry(text: string): ChangelogEntry {
  const [newest] = parseEntries(text);
  if (newest === undefined) throw new Error(`Package: ${CHANGELOG_FILE} has no entry`);
  return newest;
}

/** Reads a changelog as deb-changelog(5) describes it. @throws Error naming an entry without an end */
function parseEntries(text: string): ChangelogEntry[] {
  return text.split(/^(?=\S)/m).map((entry) => {
    const version = /^\S+ \((\S+)\)/.exec(entry)?.[1];
    const date = /^ -- .*> {2}(.+)$/m.exec(entry)?.[1];
    if (version === undefined || date === undefined) {
      throw new Error(
        `Package: an entry of ${CHANGELOG_FILE} is not complete: ${entry.split("\n")[0]}`,
      );
    }
    const body = entry.split("\n").filter((line) => line.startsWith("  ")).join("\n");
    const changes = body.split(/^ {2}\* /m).slice(1).map((change) => change.replaceAll(/\s+/g, " ").trim());
    return { version, changes, date };
  });
}
