import type { Shape } from "../../base/shape.ts";
import { AdminLink, type LinkSys } from "../../chassis/cli/admin_link.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { adminSocket } from "../../chassis/cli/asking.ts";
import type { CommandContext } from "../../chassis/cli/command.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import { DOCUMENT_MAX, encodeStatusArgs, STATUS_PROGRAM, STATUS_VERSION } from "../wire/status_protocol.ts";

/** What is asked. */
export interface Question<T> {
  readonly procedure: number;
  /** Of the document that answers it. */
  readonly shape: Shape<T>;
  /** The job that is meant; absent where none is. */
  readonly job?: number;
}

/**
 * Asks the daemon that was named, or this user's, for a document.
 *
 * @throws UsageError, CommandError when there is no daemon, no permission, no answer or a refusal
 */
export function ask<T>(context: CommandContext, args: Arguments, question: Question<T>): T {
  return askAt(context.sys, adminSocket(VIRTSTORAGED, context, args), question);
}

/**
 * Asks the daemon behind an admin socket for a document.
 *
 * @param timeout for the connection and for the answer, in ms
 * @throws CommandError as {@link ask}
 */
export function askAt<T>(
  sys: LinkSys,
  socket: string,
  { procedure, shape, job = 0 }: Question<T>,
  timeout?: number,
): T {
  using link = AdminLink.connect(sys, VIRTSTORAGED.name, socket, timeout);
  const json = link.ask(
    { program: STATUS_PROGRAM, version: STATUS_VERSION, procedure },
    (writer) => encodeStatusArgs(writer, { flags: 0, job }),
    (reader) => reader.string(DOCUMENT_MAX),
  );
  return link.read(json, shape);
}
