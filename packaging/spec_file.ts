import { packageVersion, rpmChangelog } from "./changelog.ts";
import { filled } from "./filled.ts";
import { maintainer } from "./maintainer.ts";
import { packageScript } from "./package_script.ts";

/**
 * A spec file with version, packager and changelog.
 *
 * @param name its path below packaging/; without one that of the lock daemon
 * @throws Error when one of their places is not in it once
 */
export function specFile(name = "rpm/deno-virtlockd.spec"): string {
  const [, version = "", release = ""] = /^(.*)-([^-]+)$/.exec(packageVersion()) ?? [];
  const values = {
    "@VERSION@": version,
    "@RELEASE@": release,
    "@MAINTAINER@": maintainer(),
    "@CHANGELOG@\n": rpmChangelog(),
  };
  return filled(packageScript(name), values);
}
