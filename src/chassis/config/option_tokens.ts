import type { parseArgs } from "node:util";

/** Names of options that may be given, with what a tokenizer has to know of each. */
export interface OptionNames {
  readonly [long: string]: {
    /** Whether a value follows. */
    readonly value: boolean;
    /** One letter. */
    readonly short?: string | undefined;
  };
}

/** An option as it was written. */
export interface OptionToken {
  readonly kind: "option";
  /** The long name; what was written when no option has that name or letter. */
  readonly name: string;
  /** With its dashes: `--config` or `-f`. */
  readonly rawName: string;
  readonly value: string | undefined;
  /** Whether the value was in the same argument, so that nothing but a value can be meant. */
  readonly inline: boolean;
}

/** An argument that is no option. */
export interface PositionalToken {
  readonly kind: "positional";
  readonly value: string;
}

/** Takes arguments apart as getopt(3) does. Whether a value makes sense is for the caller to judge. */
export type Tokenizer = (args: readonly string[], options: OptionNames) => (OptionToken | PositionalToken)[];

/**
 * What takes these arguments apart: the runtime's own parser. It is loaded only where there are options,
 * because that takes 6 ms, a tenth of a start: units start daemons without any, and daemons their helpers.
 */
export async function tokenizerFor(args: readonly string[]): Promise<Tokenizer> {
  if (!args.some((arg) => arg.startsWith("-"))) return withoutOptions;
  const { parseArgs: parse } = await import("node:util");
  return (given, options) => tokensOf(parse, given, options);
}

function withoutOptions(args: readonly string[]): PositionalToken[] {
  return args.map((value) => ({ kind: "positional", value }));
}

function tokensOf(
  parse: typeof parseArgs,
  args: readonly string[],
  options: OptionNames,
): (OptionToken | PositionalToken)[] {
  const { tokens } = parse({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value, short }]) => [
        name,
        { type: value ? "string" : "boolean", ...short === undefined ? {} : { short } },
      ]),
    ),
    // Not strict: its messages have several lines and do not name a missing value's option as it was written.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  return tokens.flatMap((token): (OptionToken | PositionalToken)[] => {
    switch (token.kind) {
      case "positional":
        return [{ kind: "positional", value: token.value }];
      case "option": {
        const { name, rawName, value, inlineValue } = token;
        return [{ kind: "option", name, rawName, value, inline: inlineValue === true }];
      }
      case "option-terminator":
        return [];
    }
  });
}
