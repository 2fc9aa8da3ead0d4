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

/**
 * Takes arguments apart as getopt(3) does: `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`, letters
 * together, and `--` before arguments that are no options whatever they begin with. An option that takes a
 * value gets the next argument, whatever it is; whether that makes sense is for the caller to judge.
 *
 * The runtime has a module that does the same; loading it would be a tenth of a daemon's start.
 */
export function tokensOf(args: readonly string[], options: OptionNames): (OptionToken | PositionalToken)[] {
  const tokens: (OptionToken | PositionalToken)[] = [];
  const waiting = [...args];
  for (let arg = waiting.shift(); arg !== undefined; arg = waiting.shift()) {
    if (arg === "--") {
      tokens.push(...waiting.map((value) => ({ kind: "positional", value } as const)));
      break;
    }
    if (arg.startsWith("--")) tokens.push(longOption(arg, options, waiting));
    else if (arg.startsWith("-") && arg.length > 1) tokens.push(...shortOptions(arg, options, waiting));
    else tokens.push({ kind: "positional", value: arg });
  }
  return tokens;
}

/** @param waiting the arguments behind it; the value is taken from there */
function longOption(arg: string, options: OptionNames, waiting: string[]): OptionToken {
  const equals = arg.indexOf("=", 3);
  if (equals >= 0) {
    const rawName = arg.slice(0, equals);
    return { kind: "option", name: rawName.slice(2), rawName, value: arg.slice(equals + 1), inline: true };
  }
  const name = arg.slice(2);
  return { kind: "option", name, rawName: arg, value: nextValue(name, options, waiting), inline: false };
}

/** The letters of one argument, as far as the first that takes a value. */
function shortOptions(arg: string, options: OptionNames, waiting: string[]): OptionToken[] {
  const tokens: OptionToken[] = [];
  for (let at = 1; at < arg.length; at++) {
    const letter = arg.charAt(at);
    const rawName = `-${letter}`;
    const name = longName(letter, options);
    const rest = arg.slice(at + 1);
    if (rest !== "" && takesValue(name, options)) {
      tokens.push({ kind: "option", name, rawName, value: rest, inline: true });
      break;
    }
    tokens.push({ kind: "option", name, rawName, value: nextValue(name, options, waiting), inline: false });
  }
  return tokens;
}

function longName(letter: string, options: OptionNames): string {
  return Object.keys(options).find((name) => options[name]?.short === letter) ?? letter;
}

function takesValue(name: string, options: OptionNames): boolean {
  return Object.hasOwn(options, name) && options[name]?.value === true;
}

function nextValue(name: string, options: OptionNames, waiting: string[]): string | undefined {
  return takesValue(name, options) ? waiting.shift() : undefined;
}
