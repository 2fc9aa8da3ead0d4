import type { Tokenizer } from "../config/option_tokens.ts";
import { quote } from "../config/quote.ts";
import { UsageError } from "../config/usage_error.ts";

/** A word that a command needs. */
export interface Operand {
  /** What it is, in capitals. */
  readonly name: string;
  readonly summary: string;
}

/** What of a command its arguments and its help depend on. */
interface Described {
  readonly name: string;
  readonly purpose: string;
  readonly operand?: Operand;
  readonly options: readonly OptionSpec[];
}

/** An option of a command. */
export interface OptionSpec {
  /** The long name without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What its value is, in capitals; an option without it takes none. */
  readonly value?: string;
  readonly summary: string;
}

/** Options that were given. */
export interface Arguments {
  /** Whether an option without a value was given. */
  has(name: string): boolean;
  /** The value of an option; of one given twice the last one. */
  value(name: string): string | undefined;
  /** The command's operand; "" for one that has none. */
  readonly operand: string;
}

const HELP: OptionSpec = { name: "help", short: "h", summary: "show this text and exit" };

/**
 * Understands a command's arguments.
 *
 * @returns "help" when that was asked for
 * @throws UsageError naming the word that is wrong
 */
export function parseArguments(
  command: Described,
  args: readonly string[],
  tokensOf: Tokenizer,
): Arguments | "help" {
  const specs = [...command.options, HELP];
  const names = specs.map(({ name, short, value }) => [name, { value: value !== undefined, short }] as const);
  const given = new Map<string, string>();
  let operand: string | undefined;
  for (const token of tokensOf(args, Object.fromEntries(names))) {
    if (token.kind === "positional") {
      if (command.operand === undefined || operand !== undefined) {
        throw new UsageError(`Unexpected argument ${quote(token.value)}`);
      }
      operand = token.value;
      continue;
    }
    const spec = specs.find(({ name }) => name === token.name);
    if (spec === undefined) throw new UsageError(`Unknown option ${quote(token.rawName)}`);
    if (spec === HELP) return "help";
    const { value } = token;
    if (spec.value === undefined && value !== undefined) {
      throw new UsageError(`Option ${quote(token.rawName)} takes no value, got ${quote(value)}`);
    }
    if (spec.value !== undefined && (value === undefined || value === "")) {
      throw new UsageError(`Option ${quote(token.rawName)} needs a value`);
    }
    given.set(spec.name, value ?? "");
  }
  if (command.operand !== undefined && (operand ?? "") === "") {
    throw new UsageError(`${command.operand.name} is needed`);
  }
  return { has: (name) => given.has(name), value: (name) => given.get(name), operand: operand ?? "" };
}

/** What `--help` prints. Ends with a line end. */
export function helpText({ name, purpose, operand, options }: Described, programName: string): string {
  const operands = operand === undefined ? [] : [[`  ${operand.name}`, operand.summary] as const];
  const rows = [...options, HELP].map(({ name: long, short, value, summary }) => {
    const letter = short === undefined ? "    " : `-${short}, `;
    return [`  ${letter}--${long}${value === undefined ? "" : ` ${value}`}`, summary] as const;
  });
  const width = Math.max(...[...operands, ...rows].map(([left]) => left.length));
  const line = ([left, right]: readonly [string, string]) => `${left.padEnd(width)}  ${right}`;
  return [
    `Usage: ${programName} ${name} [OPTION]...${operand === undefined ? "" : ` ${operand.name}`}`,
    "",
    purpose,
    "",
    ...operands.length === 0 ? [] : [...operands.map(line), ""],
    "Options:",
    ...rows.map(line),
    "",
  ].join("\n");
}
