import { VIRTLOCKD } from "../identity/identity.ts";
import { ConfigError } from "../../chassis/config/config_error.ts";
import { defaultPaths, type Paths } from "../../chassis/config/paths.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { AdminConnection } from "./admin_connection.ts";
import type { Arguments, OptionSpec } from "../../chassis/cli/arguments.ts";
import type { CommandContext } from "../../chassis/cli/command.ts";

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
export function adminSocket(context: CommandContext, args: Arguments): string {
  return args.value(CONNECT_OPTION.name) ?? userPaths(context).adminSocket;
}

/** This user's files. @throws UsageError when they cannot be told */
export function userPaths({ sys, env }: Pick<CommandContext, "sys" | "env">): Paths {
  try {
    return defaultPaths(VIRTLOCKD, { uid: sys.uid(), env, exists: () => false });
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`Find the daemon's files: ${error.message}`);
    throw error;
  }
}

/** Connects to the daemon that was named, or this user's. @throws UsageError, CommandError */
export function connect(context: CommandContext, args: Arguments): AdminConnection {
  return AdminConnection.connect(context.sys, adminSocket(context, args));
}

/** A document as `--json` prints it. */
export function jsonText(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
