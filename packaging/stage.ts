import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { PackageFile } from "./files.ts";

/** Puts the files of a package below a directory, whatever the umask of the caller. */
export function stageFiles(directory: string, files: readonly PackageFile[]): void {
  for (const file of files) stageFile(directory, file);
}

function stageFile(directory: string, { target, content, mode, gzip }: PackageFile): void {
  const path = join(directory, target);
  makeDirectory(directory, dirname(target));
  if ("source" in content && !gzip) {
    copyFileSync(content.source, path);
  } else {
    const bytes = "source" in content ? readFileSync(content.source) : new TextEncoder().encode(content.text);
    writeFileSync(path, gzip ? gzipSync(bytes, { level: 9 }) : bytes);
  }
  chmodSync(path, mode);
}

/** Makes a directory below another one, each part with the mode that a package wants. */
function makeDirectory(directory: string, below: string): void {
  let path = directory;
  for (const part of below.split("/")) {
    path = join(path, part);
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o755);
  }
}
