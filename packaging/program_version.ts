import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** A manifest as far as it is looked at. */
interface Manifest {
  readonly version: string;
}

/**
 * The program's version. deno.json is the one place where it is written; everything else is derived from it,
 * or compared with it by tests/unit/packaging/version_test.ts. A packager may set another one in
 * VIRTLOCKD_VERSION.
 */
export function programVersion(): string {
  return process.env["VIRTLOCKD_VERSION"] ?? manifestVersion();
}

/** What deno.json says. @throws Error when its version is no text */
export function manifestVersion(): string {
  const text = readFileSync(join(import.meta.dirname ?? "packaging", "../deno.json"), "utf8");
  const manifest: unknown = JSON.parse(text);
  if (!hasVersion(manifest)) throw new Error("Read the version in deno.json: it is not a string");
  return manifest.version;
}

function hasVersion(value: unknown): value is Manifest {
  return typeof value === "object" && value !== null && "version" in value &&
    typeof value.version === "string";
}
