import { TestProcess } from "./test_process.ts";
import { testProgram } from "./programs.ts";

const MAIN = testProgram(new URL("./storage_exec_main.ts", import.meta.url));

/**
 * Starts a process that holds a lock on storage, and execs itself when it is sent a line:
 * storage_exec_main.ts.
 *
 * @param a mount on which it holds a lock
 * @param b mount that only its second image uses
 * @param mounts what it takes for its list of mounts; undefined: the real one
 */
export function startStorageExec(a: string, b: string, mounts?: string): TestProcess {
  const env = { ...Deno.env.toObject(), ...(mounts === undefined ? {} : { STORAGE_MOUNTS: mounts }) };
  return new TestProcess([Deno.execPath(), "run", "-A", "--no-check", MAIN, a, b], env, "/", "piped");
}

/** The word that such a process says after `name`. @throws Error when it does not say it */
export async function said(
  process: TestProcess,
  name: "helper" | "late" | "image" | "other",
): Promise<string> {
  const [, word = ""] = await process.stdout.match(new RegExp(`^${name} (.+)$`, "m"));
  return word;
}
