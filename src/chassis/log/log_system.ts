import { configureSync, getConfig, getLoggers, type LogRecord, resetSync, type Sink } from "@logtape/logtape";
import { strerror } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { categoryLevel, formatFilters, type LogFilter, parseFilters, unparseFilters } from "./filters.ts";
import { DEBUG, DEFAULT_LEVEL, ERROR, levelName, levelOfName, type LogLevel, WARNING } from "./levels.ts";
import { CODE_FILE, levelsChanged, NOTICE } from "./log.ts";
import type { LogEntry, LogFields, LogFieldValue } from "./log_entry.ts";
import type { LogOutput } from "./log_output.ts";
import type { LoggingSettings } from "./log_settings.ts";
import { LOG_PATHS, type LogPaths, openOutputs, type OutputEnvironment } from "./open_outputs.ts";
import { formatOutput, formatOutputs, type OutputSpec, parseOutputs } from "./outputs.ts";
import { plainText } from "./plain_text.ts";

/** What a {@link LogSystem} works with. */
export interface LogSystemOptions {
  readonly sys: Sys;
  /** Pid shown in each line. */
  readonly pid: number;
  /** Name of the program in the journal. */
  readonly ident: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Sockets of the log services, if not the host's. */
  readonly paths?: LogPaths;
}

/** How many messages are kept before {@link LogSystem.configure}; the first ones tell most. */
const KEPT_ENTRIES = 1000;
const FILE = "src/chassis/log/log_system.ts";
const CATEGORY = "util.log";

type Phase =
  | { readonly name: "starting"; readonly kept: LogEntry[]; dropped: number }
  | { readonly name: "running"; readonly outputs: readonly LogOutput[] }
  | { readonly name: "closed" };

/**
 * The daemon's log: which messages are written, and where.
 *
 * It installs itself as LogTape's only configuration, so every Log of getLog() writes to the system that was
 * made last. Messages that come before {@link configure} are kept and written then. Nothing here waits for an
 * output.
 */
export class LogSystem {
  readonly #environment: OutputEnvironment;
  readonly #pid: number;
  readonly #clock: () => number;
  readonly #sink: Sink = (record) => this.#receive(record);
  /** Lowest level written for a category, from filters, level and outputs. */
  readonly #levels = new Map<string, LogLevel>();
  #phase: Phase = { name: "starting", kept: [], dropped: 0 };
  #level: LogLevel = DEFAULT_LEVEL;
  #filters: readonly LogFilter[] = [];
  #defaultOutputs: readonly OutputSpec[] = [{ kind: "stderr", level: DEFAULT_LEVEL }];

  constructor({ sys, pid, ident, clock, paths = LOG_PATHS }: LogSystemOptions) {
    this.#environment = { sys, ident, paths };
    this.#pid = pid;
    this.#clock = clock;
    this.#applyLevels();
  }

  /** Level of categories that no filter matches. */
  get level(): LogLevel {
    return this.#level;
  }

  /** The outputs as the admin program reports them, separated by one space. */
  outputsText(): string {
    return formatOutputs(this.#outputs().map(({ spec }) => spec));
  }

  get outputsCount(): number {
    return this.#outputs().length;
  }

  /**
   * The filters as the admin program reports them, e.g. `1:*a* 2:*b* ` with a space after each; empty when
   * none.
   */
  filtersText(): string {
    return formatFilters(this.#filters);
  }

  /**
   * The filters as {@link setFilters} takes them, to hand them to another image: printed ones get more stars
   * each time.
   */
  filtersSetting(): string {
    return unparseFilters(this.#filters);
  }

  get filtersCount(): number {
    return this.#filters.length;
  }

  /**
   * Sets level, filters and outputs together, and writes the messages kept until now. Also for a reload.
   *
   * @throws LogConfigError for a wrong text, SystemError (open) for a log file; everything then stays as it
   *   was
   */
  configure(settings: LoggingSettings): void {
    const filters = parseFilters(settings.filters);
    const defaults = parseOutputs(settings.defaultOutputs);
    const outputs = openOutputs(this.#environment, parseOutputs(settings.outputs));
    this.#level = settings.level;
    this.#filters = filters;
    this.#defaultOutputs = defaults;
    this.#use(outputs);
  }

  /**
   * Start-up has failed before {@link configure}: what was kept goes to standard error, warnings and errors
   * only. Does nothing once configured.
   */
  abandonStart(): void {
    if (this.#phase.name !== "starting") return;
    this.#use(openOutputs(this.#environment, [{ kind: "stderr", level: DEFAULT_LEVEL }]));
  }

  /**
   * Replaces the outputs; an empty text brings the default ones back.
   *
   * @throws LogConfigError for a wrong text, SystemError (open) for a log file; the old outputs then stay
   */
  setOutputs(text: string): void {
    const named = parseOutputs(text);
    this.#use(openOutputs(this.#environment, named.length === 0 ? this.#defaultOutputs : named));
  }

  /**
   * Replaces the filters; an empty text removes them.
   *
   * @throws LogConfigError for a wrong text; the old filters then stay
   */
  setFilters(text: string): void {
    this.#filters = parseFilters(text);
    this.#applyLevels();
  }

  /**
   * Opens every output anew, after log rotation. One that cannot be opened goes on with its old descriptor
   * and says so.
   */
  reopen(): void {
    for (const output of this.#outputs()) {
      const result = output.reopen();
      if (result < 0) {
        this.#write(
          WARNING,
          `Cannot reopen log output ${formatOutput(output.spec)}, keeping the old one: ${strerror(-result)}`,
        );
      }
    }
  }

  /** Closes the outputs. Messages that come later are dropped. */
  close(): void {
    for (const output of this.#outputs()) output.close();
    this.#phase = { name: "closed" };
    if (getConfig()?.sinks["daemon"] === this.#sink) {
      resetSync();
      levelsChanged();
    }
  }

  #outputs(): readonly LogOutput[] {
    return this.#phase.name === "running" ? this.#phase.outputs : [];
  }

  /** Takes over outputs, frees the ones before, and writes what was kept. */
  #use(outputs: readonly LogOutput[]): void {
    const before = this.#phase;
    this.#phase = { name: "running", outputs };
    this.#applyLevels();
    if (before.name === "running") {
      for (const output of before.outputs) this.#retire(output);
    } else if (before.name === "starting") {
      for (const entry of before.kept) this.#dispatch(entry);
      if (before.dropped > 0) {
        this.#write(WARNING, `Messages lost before logging was set up: ${before.dropped}`);
      }
    }
  }

  #retire(output: LogOutput): void {
    const loss = output.loss();
    output.close();
    if (loss !== undefined) {
      this.#write(WARNING, `Messages lost on log output ${formatOutput(output.spec)}: ${loss}`);
    }
  }

  /** Tells LogTape which levels are wanted, so that the others cost no more than a comparison. */
  #applyLevels(): void {
    this.#levels.clear();
    // The root stands for categories that are still unknown: their filter is asked when a record comes.
    const lowest = this.#filters.reduce((least, { level }) => level < least ? level : least, this.#level);
    const categories = getLoggers().map(({ category }) => category)
      .filter((category) => category.length === 2 && category[0] !== "logtape");
    configureSync({
      reset: true,
      sinks: {
        daemon: this.#sink,
        diagnostics: (record: LogRecord) => {
          this.#write(ERROR, plainText(`Cannot write a log record: ${record.properties["error"]}`));
        },
      },
      loggers: [
        { category: [], sinks: ["daemon"], lowestLevel: levelName(this.#bounded(lowest)) },
        {
          category: ["logtape", "meta"],
          sinks: ["diagnostics"],
          parentSinks: "override",
          lowestLevel: "error",
        },
        ...categories.map((category) => ({
          category: [...category],
          sinks: ["daemon" as const],
          parentSinks: "override" as const,
          lowestLevel: levelName(this.#levelOf(category.join("."))),
        })),
      ],
    });
    levelsChanged();
  }

  /** A level, raised to the lowest one that any output takes. While starting everything is wanted. */
  #bounded(level: LogLevel): LogLevel {
    if (this.#phase.name === "starting") return DEBUG;
    const floor = this.#outputs().reduce<LogLevel>((least, { spec }) => {
      return spec.level < least ? spec.level : least;
    }, ERROR);
    return level < floor ? floor : level;
  }

  #levelOf(category: string): LogLevel {
    let level = this.#levels.get(category);
    if (level === undefined) {
      level = this.#bounded(categoryLevel(this.#filters, category, this.#level));
      this.#levels.set(category, level);
    }
    return level;
  }

  #receive(record: LogRecord): void {
    const { [CODE_FILE]: file, [NOTICE]: notice, ...fields } = record.properties;
    this.#dispatch({
      time: this.#clock(),
      pid: this.#pid,
      level: levelOfName(record.level) ?? ERROR,
      category: record.category.join("."),
      file: String(file),
      text: plainText(record.message.join("")),
      ...notice === undefined ? {} : { notice: true },
      fields: plainFields(fields),
    });
  }

  /** Writes a message of the log system itself, past level and filters. */
  #write(level: LogLevel, text: string): void {
    const entry = {
      time: this.#clock(),
      pid: this.#pid,
      level,
      category: CATEGORY,
      file: FILE,
      text,
      fields: {},
    };
    if (this.#phase.name === "starting") this.#dispatch(entry);
    for (const output of this.#outputs()) output.write(entry);
  }

  #dispatch(entry: LogEntry): void {
    const phase = this.#phase;
    if (phase.name === "starting") {
      if (phase.kept.length < KEPT_ENTRIES) phase.kept.push(entry);
      else phase.dropped += 1;
    } else if (phase.name === "running" && entry.level >= this.#levelOf(entry.category)) {
      for (const output of phase.outputs) output.write(entry);
    }
  }
}

/** The fields of a record: LogTape types properties as unknown. */
function plainFields(properties: Readonly<Record<string, unknown>>): LogFields {
  const fields: Record<string, LogFieldValue> = {};
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "string" || typeof value === "number") fields[name] = value;
    else if (Array.isArray(value)) fields[name] = value.map(String);
  }
  return fields;
}
