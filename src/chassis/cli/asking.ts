import type { Identity } from "../config/identity.ts";
import { ConfigError } from "../config/config_error.ts";
import { defaultPaths, type Paths } from "../config/paths.ts";
import { UsageError } from "../config/usage_error.ts";
import type { Arguments, OptionSpec } from "./arguments.ts";
import type { CommandContext } from "./command.ts";

/** Which daemon to ask. */
export const CONNECT_OPTION: OptionSpec = {
  name: "connect",
  short: "c",
  value: "SOCKET",
  summary: "ask the daemon with this admin socket",
};

/** For programs. */
export const JSON_OPTION: OptionSpec = { name: "json", summary: "print JSON" };

/**
 * The admin socket that was named, or this user's.
 *
 * @throws UsageError when neither is known
 */
export function adminSocket(identity: Identity, context: CommandContext, args: Arguments): string {
  return args.value(CONNECT_OPTION.name) ?? userPaths(identity, context).adminSocket;
}

/** This user's files. @throws UsageError when they cannot be told */
export function userPaths(identity: Identity, { sys, env }: Pick<CommandContext, "sys" | "env">): Paths {
  try {
    return defaultPaths(identity, { uid: sys.uid(), env, exists: () => false });
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`Find the daemon's files: ${error.message}`);
    throw error;
  }
}

/** A document as `--json` prints it. */
export function jsonText(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
