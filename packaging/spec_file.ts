import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageVersion, rpmChangelog } from "./changelog.ts";
import { filled } from "./filled.ts";
import { maintainer } from "./maintainer.ts";
import { ROOT } from "./tool.ts";

/**
 * The spec file with version, packager and changelog. @throws Error when one of their places is not in it
 * once
 */
export function specFile(): string {
  const [, version = "", release = ""] = /^(.*)-([^-]+)$/.exec(packageVersion()) ?? [];
  const values = {
    "@VERSION@": version,
    "@RELEASE@": release,
    "@MAINTAINER@": maintainer(),
    "@CHANGELOG@\n": rpmChangelog(),
  };
  return filled(readFileSync(join(ROOT, "packaging/rpm/deno-virtlockd.spec"), "utf8"), values);
}
