import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";

/**
 * Does something of which a part may be done when etcd does not answer any more.
 *
 * @param soFar what is so then, and what to do: a sentence without its full stop
 * @throws CommandError
 */
export function tellingSoFar<T>(soFar: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== CommandExit.UNREACHABLE) throw error;
    throw new CommandError(error.code, `${error.message}. ${soFar}`, { cause: error });
  }
}
