import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";

/** The top of the source tree. */
export const ROOT: string = resolve(import.meta.dirname ?? "packaging", "..");

/** How to run a tool. */
export interface ToolOptions {
  /** Directory to run it in, the top of the source tree by default. */
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A tool could not be run, or ended with another status than 0. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/**
 * Runs a tool to its end.
 *
 * @returns what it said on standard output
 * @throws ToolError with everything that it said
 */
export function runTool(
  command: string,
  args: readonly string[],
  { cwd = ROOT, env }: ToolOptions = {},
): string {
  const result = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 1 << 30,
    ...(env === undefined ? {} : { env: { ...Deno.env.toObject(), ...env } }),
  });
  if (result.error !== undefined) throw new ToolError(`Run ${command}: ${result.error.message}`);
  if (result.status !== 0) {
    const how = result.status === null
      ? `was ended by ${result.signal}`
      : `ended with status ${result.status}`;
    throw new ToolError(`${command} ${how}:\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

/** Whether a tool is installed. */
export function hasTool(command: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return directory !== "" && Deno.statSync(join(directory, command)).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
      throw error;
    }
  });
}
