import type { Arguments } from "../../chassis/cli/arguments.ts";
import { adminSocket } from "../../chassis/cli/asking.ts";
import type { CommandContext } from "../../chassis/cli/command.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { AdminConnection } from "./admin_connection.ts";

/** Connects to the daemon that was named, or this user's. @throws UsageError, CommandError */
export function connect(context: CommandContext, args: Arguments): AdminConnection {
  return AdminConnection.connect(context.sys, adminSocket(VIRTLOCKD, context, args));
}
