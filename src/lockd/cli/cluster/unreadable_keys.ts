import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { RecordError } from "../../cluster/keys/record_fields.ts";

/** Most keys that are named one by one. */
const NAMED_KEYS = 10;

/** How a record is read: undefined for one that is left out. */
export type Reading = <T>(decode: () => T) => T | undefined;

/** Nothing is left out: whatever cannot be read is an error. */
export const strictly: Reading = (decode) => decode();

/**
 * Records of a list that cannot be read. The list goes on without them, for a person has to see the others,
 * and tells of them at its end. Only what is shown is read so: who decides by a list needs all of it.
 */
export class UnreadableKeys {
  readonly #found: string[] = [];

  /** Reads a record. */
  readonly read: Reading = (decode) => {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.#found.push(error.wrong);
      return undefined;
    }
  };

  /** What is wrong, each with its key. */
  get found(): readonly string[] {
    return this.#found;
  }

  /** Called when everything else is shown. @throws CommandError naming the keys, if there are any */
  tell(): void {
    const { length } = this.#found;
    if (length === 0) return;
    const more = length > NAMED_KEYS ? `; and ${length - NAMED_KEYS} more` : "";
    throw new CommandError(
      CommandExit.PROBLEM,
      `${counted(length, "key")} in etcd cannot be read, and nothing of that is shown: ${
        this.#found.slice(0, NAMED_KEYS).join("; ")
      }${more}. ${RecordError.ADVICE}`,
    );
  }
}
