import type { BuiltProgram, Layout } from "./files.ts";
import { installedRuntime } from "./files.ts";
import { buildProgram } from "./program.ts";
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

/** What a package is made from, and where it goes. All paths are absolute. */
export interface PackageRequest {
  /** Directory for the finished package. */
  readonly output: string;
  /** A program that was built for the layout of the package; undefined to build one. */
  readonly executable: string | undefined;
  /** The Deno to ship with a program in the form of a script. */
  readonly runtime: string;
  /** See bundle(). */
  readonly modules: string | undefined;
}

/** The program of a request, built if need be. @throws Error, ToolError */
export function programFor(layout: Layout, request: PackageRequest): BuiltProgram {
  const { output, runtime, modules } = request;
  const executable = request.executable ?? join(output, `virtlockd.${layout}`);
  if (request.executable === undefined) {
    const runtime = installedRuntime(layout);
    buildProgram({ contents: "virtlockd", output: executable, runtime, form: "best", modules });
  }
  return { executable, runtime: isSelfContained(executable) ? undefined : runtime };
}

/** Tells an ELF file from a script. */
export function isSelfContained(executable: string): boolean {
  const head = new Uint8Array(4);
  const fd = openSync(executable, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  const text = String.fromCharCode(...head);
  if (text === "\x7fELF") return true;
  if (text.startsWith("#!")) return false;
  throw new Error(`Package ${executable}: it is neither an ELF file nor a script`);
}
