import { getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import { DEBUG, ERROR, INFO, type LevelName, levelName, levelNumber, WARNING } from "./levels.ts";
import type { LogFields } from "./log_entry.ts";

export type { LogFields } from "./log_entry.ts";

/** A message, or how to make it: a function is called only when the level is enabled. */
export type LogMessage = string | (() => string);

/** Category of a log message: folder and file, as libvirt names them, e.g. `rpc.netserver`. */
export type LogCategory = `${string}.${string}`;

/** Where one source file sends its messages. */
export interface Log {
  /** Whether a message of this level would be written anywhere. */
  enabled(level: LevelName): boolean;
  debug(message: LogMessage, fields?: LogFields): void;
  info(message: LogMessage, fields?: LogFields): void;
  /**
   * Nothing is wrong, but everybody should see it: as {@link warn}, but the journal and syslog show it as a
   * notice.
   */
  notice(message: LogMessage, fields?: LogFields): void;
  warn(message: LogMessage, fields?: LogFields): void;
  error(message: LogMessage, fields?: LogFields): void;
}

const LEVELS = [DEBUG, INFO, WARNING, ERROR] as const;

/** Name of the record property that carries the source file beside the fields. */
export const CODE_FILE = "codeFile";

/** Name of the record property that is there when nothing is wrong. */
export const NOTICE = "notice";

/**
 * The log of one source file. It follows whichever LogSystem was made last, also one that is made later.
 *
 * @param category e.g. `rpc.netserver`; filters match against it
 * @param file the source file, e.g. `src/os/sys.ts`, for journald's CODE_FILE
 */
export function getLog(category: LogCategory, file: string): Log {
  // Always two parts: no category is then the parent of another, whose level it would inherit.
  const dot = category.indexOf(".");
  return new FileLog(getLogger([category.slice(0, dot), category.slice(dot + 1)]), file);
}

/** Counts changes of what is written at all. */
let changes = 0;

/** To be called when other levels than before are written: what is known of them is asked for anew. */
export function levelsChanged(): void {
  changes++;
}

class FileLog implements Log {
  readonly #logger: Logger;
  readonly #file: string;
  /** The lowest level that is written, by its number, as of {@link #asked}. */
  #lowest: number = Infinity;
  #asked = -1;

  constructor(logger: Logger, file: string) {
    this.#logger = logger;
    this.#file = file;
  }

  enabled(level: LevelName): boolean {
    if (this.#asked !== changes) {
      // LogTape walks through its configuration for an answer; requests ask several times each.
      this.#lowest = LEVELS.find((candidate) => this.#logger.isEnabledFor(levelName(candidate))) ?? Infinity;
      this.#asked = changes;
    }
    return levelNumber(level) >= this.#lowest;
  }

  debug(message: LogMessage, fields?: LogFields): void {
    if (this.enabled("debug")) this.#emit("debug", message, fields);
  }

  info(message: LogMessage, fields?: LogFields): void {
    if (this.enabled("info")) this.#emit("info", message, fields);
  }

  notice(message: LogMessage, fields?: LogFields): void {
    if (this.enabled("warning")) this.#emit("warning", message, { ...fields, [NOTICE]: 1 });
  }

  warn(message: LogMessage, fields?: LogFields): void {
    if (this.enabled("warning")) this.#emit("warning", message, fields);
  }

  error(message: LogMessage, fields?: LogFields): void {
    if (this.enabled("error")) this.#emit("error", message, fields);
  }

  #emit(level: LevelName, message: LogMessage, fields: LogFields | undefined): void {
    const text = typeof message === "string" ? message : message();
    // A whole record, because LogTape's own methods would read {placeholders} in a name that a client chose.
    // With its category in it, LogTape need not copy the record.
    const record: LogRecord = {
      category: this.#logger.category,
      level,
      message: [text],
      rawMessage: text,
      timestamp: Date.now(),
      properties: { ...fields, [CODE_FILE]: this.#file },
    };
    this.#logger.emit(record);
  }
}
