import type { OptionToken, Tokenizer } from "./option_tokens.ts";
import { quote } from "./quote.ts";
import { UsageError } from "./usage_error.ts";

/** Commands of a daemon by name, with what each does. */
type Commands<C extends string> = Readonly<Record<C, string>>;

/** How the daemon is to run. */
export interface DaemonOptions {
  /** Run in the background. */
  readonly daemon: boolean;
  /** Log informational messages too. */
  readonly verbose: boolean;
  /** Configuration file, which must exist; undefined for the default one, which need not. */
  readonly config: string | undefined;
  /** Stop after so many seconds without client and what else keeps it; 0 or undefined: never. */
  readonly timeout: number | undefined;
  /** PID file; undefined for the default one. */
  readonly pidFile: string | undefined;
}

/** What the command line asks for. */
export type Invocation<C extends string> =
  | { readonly kind: "daemon"; readonly options: DaemonOptions }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "command"; readonly name: C; readonly args: readonly string[] }
  /** A part of the daemon that it starts for itself; `name` begins with `internal-`. */
  | { readonly kind: "internal"; readonly name: string; readonly args: readonly string[] };

/** A signed 32-bit count of milliseconds, which is what libvirt's event loop takes. */
const LONGEST_TIMEOUT = 2_147_483;

const OPTIONS = {
  help: { value: false, short: "h" },
  daemon: { value: false, short: "d" },
  config: { value: true, short: "f" },
  timeout: { value: true, short: "t" },
  "pid-file": { value: true, short: "p" },
  verbose: { value: false, short: "v" },
  version: { value: false, short: "V" },
} as const;

/**
 * Understands the command line. A command must be the first argument; all that follows is its own. Options
 * are taken in order, as getopt does: `--help` and `--version` end it, of an option given twice the last one
 * counts.
 *
 * @param args the arguments after the program's name
 * @param commands those of this daemon
 * @param tokensOf what takes the arguments apart
 * @throws UsageError for an unknown option or command, a missing or wrong value, or a stray argument (source:
 *   docs/behaviour.md, Command line)
 */
export function parseCommandLine<C extends string>(
  args: readonly string[],
  commands: Commands<C>,
  tokensOf: Tokenizer,
): Invocation<C> {
  const [first, ...rest] = args;
  if (first !== undefined) {
    if (isCommand(first, commands)) return { kind: "command", name: first, args: rest };
    if (first.startsWith("internal-")) return { kind: "internal", name: first, args: rest };
    if (!first.startsWith("-")) throw unknownCommand(first, commands);
  }
  return parseDaemonOptions(args, commands, tokensOf);
}

function isCommand<C extends string>(word: string, commands: Commands<C>): word is C {
  return Object.hasOwn(commands, word);
}

function parseDaemonOptions<C extends string>(
  args: readonly string[],
  commands: Commands<C>,
  tokensOf: Tokenizer,
): Invocation<C> {
  let options = NO_OPTIONS;
  for (const token of tokensOf(args, OPTIONS)) {
    if (token.kind === "positional") throw strayArgument(token.value, commands);
    const taken = takeOption(options, token);
    if (taken === "help" || taken === "version") return { kind: taken };
    options = taken;
  }
  return { kind: "daemon", options };
}

/** What could be made of a command line that has mistakes. */
export interface ForgivenOptions {
  readonly options: DaemonOptions;
  /** A sentence for each mistake. */
  readonly mistakes: readonly string[];
}

/**
 * Understands the command line of a daemon that may not fail to start for it: what is wrong is left out. A
 * command, `--help` and `--version` are mistakes here.
 */
export function forgiveOptions(
  args: readonly string[],
  commands: Commands<string>,
  tokensOf: Tokenizer,
): ForgivenOptions {
  let options = NO_OPTIONS;
  const mistakes: string[] = [];
  for (const token of tokensOf(args, OPTIONS)) {
    try {
      if (token.kind === "positional") {
        throw isCommand(token.value, commands) && token.value === args[0]
          ? new UsageError(`Command ${quote(token.value)} is not for a daemon`)
          : strayArgument(token.value, commands);
      }
      const taken = takeOption(options, token);
      if (taken === "help" || taken === "version") {
        throw new UsageError(`Option ${quote(token.rawName)} is not for a daemon`);
      }
      options = taken;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      mistakes.push(error.message);
    }
  }
  return { options, mistakes };
}

/** The arguments that say the same as these options. */
export function argumentsOf({ daemon, verbose, config, timeout, pidFile }: DaemonOptions): string[] {
  return [
    ...daemon ? ["--daemon"] : [],
    ...verbose ? ["--verbose"] : [],
    ...config === undefined ? [] : [`--config=${config}`],
    ...timeout === undefined ? [] : [`--timeout=${timeout}`],
    ...pidFile === undefined ? [] : [`--pid-file=${pidFile}`],
  ];
}

const NO_OPTIONS: DaemonOptions = {
  daemon: false,
  verbose: false,
  config: undefined,
  timeout: undefined,
  pidFile: undefined,
};

/** One option of the daemon, added to those before. @throws UsageError */
function takeOption(options: DaemonOptions, token: OptionToken): DaemonOptions | "help" | "version" {
  switch (token.name) {
    case "help":
    case "version":
      refuseValue(token);
      return token.name;
    case "daemon":
      refuseValue(token);
      return { ...options, daemon: true };
    case "verbose":
      refuseValue(token);
      return { ...options, verbose: true };
    case "config":
      return { ...options, config: requireValue(token) };
    case "pid-file":
      return { ...options, pidFile: requireValue(token) };
    case "timeout":
      return { ...options, timeout: parseTimeout(token) };
    default:
      throw new UsageError(`Unknown option ${quote(token.rawName)}`);
  }
}

function refuseValue(token: OptionToken): void {
  if (token.value === undefined) return;
  throw new UsageError(`Option ${quote(token.rawName)} takes no value, got ${quote(token.value)}`);
}

/** The value, which may begin with a dash only where nothing but a value can be meant (`--config=-x`). */
function requireValue(token: OptionToken): string {
  const { rawName, value, inline } = token;
  if (value === undefined || value === "") throw new UsageError(`Option ${quote(rawName)} needs a value`);
  if (!inline && value.length > 1 && value.startsWith("-")) {
    throw new UsageError(`Option ${quote(rawName)} needs a value, got ${quote(value)}`);
  }
  return value;
}

function parseTimeout(token: OptionToken): number {
  const text = token.value ?? "";
  if (text === "") throw new UsageError(`Option ${quote(token.rawName)} needs a value`);
  const seconds = /^[0-9]+$/.test(text) ? Number(text) : Infinity;
  if (seconds <= LONGEST_TIMEOUT) return seconds;
  throw new UsageError(
    `Option ${quote(token.rawName)} needs a whole number of seconds from 0 to ${LONGEST_TIMEOUT}, got ${
      quote(text)
    }`,
  );
}

function unknownCommand(word: string, commands: Commands<string>): UsageError {
  const names = Object.keys(commands);
  // A daemon need not have any.
  if (names.length === 0) return strayArgument(word, commands);
  return new UsageError(`Unknown command ${quote(word)}: the commands are ${names.join(", ")}`);
}

function strayArgument(word: string, commands: Commands<string>): UsageError {
  if (isCommand(word, commands)) {
    return new UsageError(`Unexpected argument ${quote(word)}: a command must come before all options`);
  }
  return new UsageError(`Unexpected argument ${quote(word)}`);
}
