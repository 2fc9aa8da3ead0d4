import { AdminLink } from "../../chassis/cli/admin_link.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { adminSocket } from "../../chassis/cli/asking.ts";
import type { CommandContext } from "../../chassis/cli/command.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import { DOCUMENT_MAX, encodeStatusArgs, STATUS_PROGRAM, STATUS_VERSION } from "../wire/status_protocol.ts";

/**
 * Asks the daemon that was named, or this user's, for a document.
 *
 * @param job the job that is meant; 0 where none is
 * @throws UsageError, CommandError when there is no daemon, no permission, no answer or a refusal
 */
export function ask(context: CommandContext, args: Arguments, procedure: number, job = 0): unknown {
  const path = adminSocket(VIRTSTORAGED, context, args);
  using link = AdminLink.connect(context.sys, VIRTSTORAGED.name, path);
  return JSON.parse(
    link.ask(
      { program: STATUS_PROGRAM, version: STATUS_VERSION, procedure },
      (writer) => encodeStatusArgs(writer, { flags: 0, job }),
      (reader) => reader.string(DOCUMENT_MAX),
    ),
  );
}
