import { readList } from "../../os/read_file.ts";
import type { RuntimeFacts } from "../../os/runtime.ts";
import type { FileSys } from "../../os/sys.ts";

/**
 * How to start this program again: the path as it is on disk then, the original arguments and environment.
 */
export interface SelfImage {
  readonly path: string;
  readonly argv: readonly string[];
  /** The beginning of {@link argv}, up to the program's own arguments. */
  readonly base: readonly string[];
  /** `NAME=value`, as it was when the process started, without flags that this image was given for itself. */
  readonly env: readonly string[];
}

/** Variable with flags of V8's, in the runtime's own words. */
export const RUNTIME_FLAGS = "DENO_V8_FLAGS";

/** Variables that are for one image only and must not reach the next one (sd_listen_fds(3)). */
const PASSING = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "DAEMON_READY_FD"];

/**
 * Finds out how this program was started.
 *
 * @throws SystemError when /proc is not readable
 */
export function selfImage(sys: FileSys, facts: RuntimeFacts, cwd: string): SelfImage {
  const argv = readList(sys, "/proc/self/cmdline");
  const env = readList(sys, "/proc/self/environ").filter((entry) => !entry.startsWith(`${RUNTIME_FLAGS}=`));
  if (facts.standalone) {
    // The name that it was started by, which may be a link to a file that an upgrade replaces.
    const name = startedAs(sys, facts);
    const path = name.includes("/") ? absolute(name, cwd) : facts.runtimePath;
    const base = [name, ...facts.chosen];
    return { path, argv: [...base, ...facts.args], base, env };
  }
  // From sources: the runtime with all its own arguments.
  if (facts.mainFile.endsWith(".ts")) {
    return { path: facts.runtimePath, argv, base: argv.slice(0, argv.length - facts.args.length), env };
  }
  const path = absolute(facts.mainFile, cwd);
  const base = [path, ...facts.chosen];
  return { path, argv: [...base, ...facts.args], base, env };
}

/**
 * How to start the very program that runs now once more. A script is executed by the runtime again and not by
 * the shell that it begins with: shells may undo what the next image has to inherit, such as blocked signals.
 *
 * @throws SystemError when /proc is not readable
 */
export function runningImage(sys: FileSys, facts: RuntimeFacts, self: SelfImage): SelfImage {
  if (facts.standalone) return self;
  return { ...self, path: facts.runtimePath, argv: readList(sys, "/proc/self/cmdline") };
}

/**
 * What the program was started as: a path, or a name that the shell has found, either perhaps that of a link.
 *
 * @throws SystemError when /proc is not readable
 */
export function startedAs(sys: FileSys, facts: RuntimeFacts): string {
  return facts.standalone ? readList(sys, "/proc/self/cmdline")[0] ?? facts.runtimePath : facts.mainFile;
}

/** What the kernel writes behind the path of a directory that was removed (proc_pid_cwd(5)). */
const REMOVED = " (deleted)";

/** This process's working directory; the root where it has been removed, or cannot be reached. */
export function workingDirectory(sys: Pick<FileSys, "readlink" | "access">): string {
  const directory = sys.readlink("/proc/self/cwd");
  if (typeof directory !== "string" || !directory.startsWith("/")) return "/";
  // A directory may itself be named so. Others are not looked at: their storage may not answer.
  return directory.endsWith(REMOVED) && sys.access(directory, 0) !== 0 ? "/" : directory;
}

/** A path as it is from everywhere. */
export function absolute(path: string, cwd: string): string {
  if (path.startsWith("/")) return path;
  return cwd.endsWith("/") ? `${cwd}${path}` : `${cwd}/${path}`;
}

/** The environment for the next image: without what was meant for this one. */
export function lastingEnvironment(env: readonly string[]): string[] {
  return env.filter((entry) => !PASSING.some((name) => entry.startsWith(`${name}=`)));
}

/** Value of a variable in a list of `NAME=value`. */
export function variable(env: readonly string[], name: string): string | undefined {
  return env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** An environment with variables that have new values. */
export function withVariables(
  env: readonly string[],
  variables: Readonly<Record<string, string>>,
): readonly string[] {
  const names = Object.keys(variables);
  return [
    ...env.filter((entry) => !names.some((name) => entry.startsWith(`${name}=`))),
    ...names.map((name) => `${name}=${variables[name]}`),
  ];
}

/** A list of `NAME=value` as a lookup table. */
export function environmentOf(entries: readonly string[]): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(entries.map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)];
  }));
}
