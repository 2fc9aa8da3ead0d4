// The programs that tests start most: files beside this one that end in _main.ts, daemons of the nemesis, the
// family's program and the link with etcd.
import { relative } from "node:path";
import process from "node:process";

/**
 * The directory with these programs, each in one file: `deno task test` makes it before it runs whole suites.
 * Such a file takes less than half of the CPU that its hundreds of sources take to start; tests start
 * thousands.
 */
export const BUNDLED_VARIABLE = "VIRTLOCKD_TEST_PROGRAMS";

const TREE = new URL("../..", import.meta.url).pathname;

/**
 * What to run for a program: its one file, or its sources where a single test is run.
 *
 * @param source of a program, such as `new URL("./puppet_main.ts", import.meta.url)`
 * @returns a path
 */
export function testProgram(source: URL): string {
  const bundled = process.env[BUNDLED_VARIABLE];
  return bundled === undefined ? source.pathname : `${bundled}/${bundledName(source.pathname)}`;
}

/** Of a program's main module where it is in one file: the path that it has in the source tree. */
export function bundledName(source: string): string {
  return relative(TREE, source);
}
