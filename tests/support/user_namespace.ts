import { PATIENCE_MS } from "./until.ts";

/**
 * A user namespace in which root is an ordinary user, for all processes of this test process: they may look
 * at each other there, as those of one user may. Entered with nsenter; it ends with this process.
 */
let keeper: Deno.ChildProcess | undefined;

/**
 * The command line that runs a command as user and group `user` of the namespace; it stays the same process.
 */
export function inUserNamespace(user: number): string[] {
  keeper ??= start(user);
  return ["nsenter", "--user", "--preserve-credentials", `--target=${keeper.pid}`, "--"];
}

function start(user: number): Deno.ChildProcess {
  const child = new Deno.Command("unshare", {
    args: ["--user", `--map-user=${user}`, `--map-group=${user}`, "--", "cat"],
    // The end of this process is the end of cat.
    stdin: "piped",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  child.unref();
  const end = performance.now() + PATIENCE_MS;
  while (!isMapped(child.pid, user)) {
    if (performance.now() > end) throw new Error(`Make a user namespace: not within ${PATIENCE_MS} ms`);
  }
  return child;
}

/** Whether the namespace is ready: cat runs in it. */
function isMapped(pid: number, user: number): boolean {
  const map = Deno.readTextFileSync(`/proc/${pid}/uid_map`).trim().split(/\s+/);
  return map[0] === String(user) && Deno.readTextFileSync(`/proc/${pid}/comm`).trim() === "cat";
}
