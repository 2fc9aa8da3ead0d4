import { AdminLink, type LinkSys } from "../../chassis/cli/admin_link.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { adminSocket } from "../../chassis/cli/asking.ts";
import type { CommandContext } from "../../chassis/cli/command.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import { DOCUMENT_MAX, encodeStatusArgs, STATUS_PROGRAM, STATUS_VERSION } from "../wire/status_protocol.ts";

/** What is asked. */
export interface Question {
  readonly procedure: number;
  /** The job that is meant; 0 where none is. */
  readonly job: number;
}

/**
 * Asks the daemon that was named, or this user's, for a document.
 *
 * @param job the job that is meant; 0 where none is
 * @throws UsageError, CommandError when there is no daemon, no permission, no answer or a refusal
 */
export function ask(context: CommandContext, args: Arguments, procedure: number, job = 0): unknown {
  return askAt(context.sys, adminSocket(VIRTSTORAGED, context, args), { procedure, job });
}

/**
 * Asks the daemon behind an admin socket for a document.
 *
 * @param timeout for the connection and for the answer, in ms
 * @throws CommandError as {@link ask}
 */
export function askAt(sys: LinkSys, socket: string, { procedure, job }: Question, timeout?: number): unknown {
  using link = AdminLink.connect(sys, VIRTSTORAGED.name, socket, timeout);
  return JSON.parse(
    link.ask(
      { program: STATUS_PROGRAM, version: STATUS_VERSION, procedure },
      (writer) => encodeStatusArgs(writer, { flags: 0, job }),
      (reader) => reader.string(DOCUMENT_MAX),
    ),
  );
}
