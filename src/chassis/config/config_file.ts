import { ConfigError } from "./config_error.ts";
import { quote } from "./quote.ts";

/** A value as the file spells it. Whether it suits its key is for the reader of the settings to say. */
export type ConfigValue =
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "list"; readonly items: readonly ConfigValue[] };

/** One `key = value` statement. */
export interface ConfigEntry {
  /** The key, known or not. */
  readonly key: string;
  /** The value, of whatever type. */
  readonly value: ConfigValue;
  /** `FILE:LINE` of the key, lines counted from 1. */
  readonly place: string;
}

/** Deeper lists have no use, and each level costs a stack frame. */
const DEEPEST_LIST = 16;

const KEY = /[A-Za-z][A-Za-z0-9_]*/y;
const NUMBER_LIKE = /[+-]?[0-9][0-9A-Za-z_.]*|[+-]/y;
const INTEGER = /^[+-]?[0-9]+$/;
const BLANKS = /[ \t]+/y;
const COMMENT = /#[^\r\n]*/y;
const LINE_END = /\r\n|\r|\n/y;
const LINE_ENDS = /\r\n|\r|\n/g;
/** What an error message shows of the text where the parser stopped. */
const WORD = /[^ \t\r\n;#,=[\]]+|./uy;

/**
 * Parses libvirt's configuration format: `key = value` statements, ended by a line end or `;`; strings in
 * `"`, `'` or, over several lines, `"""`, none with escapes; integers; lists, which may span lines and end
 * in a comma; comments from `#` to the end of the line.
 *
 * A key that is there twice gives two entries. Comments and line ends are also taken inside lists, where
 * libvirt's own parser refuses comments; every file that it takes is taken here.
 *
 * @param text the file's content
 * @param fileName how error messages name the file
 * @returns the statements in the file's order
 * @throws ConfigError with file and line where the text is malformed (source: docs/behaviour.md,
 *   Configuration file)
 */
export function parseConfigFile(text: string, fileName: string): ConfigEntry[] {
  const { entries, error } = scanConfigFile(text, fileName);
  if (error !== undefined) throw error;
  return entries;
}

/** The same, with the statements before the place where the text is malformed. */
export function scanConfigFile(
  text: string,
  fileName: string,
): { entries: ConfigEntry[]; error: ConfigError | undefined } {
  const entries: ConfigEntry[] = [];
  try {
    for (const entry of new Parser(text, fileName).statements()) entries.push(entry);
    return { entries, error: undefined };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { entries, error };
  }
}

/** A cursor over the text. Every method leaves it behind what the method has read. */
class Parser {
  readonly #text: string;
  readonly #fileName: string;
  #at = 0;
  #line = 1;

  constructor(text: string, fileName: string) {
    this.#text = text;
    this.#fileName = fileName;
  }

  /** One after the other, each once its end has been seen. */
  *statements(): Generator<ConfigEntry> {
    this.#skipLines();
    while (this.#at < this.#text.length) {
      const entry = this.#statement();
      this.#endOfStatement();
      yield entry;
    }
  }

  #statement(): ConfigEntry {
    const place = this.#place();
    const key = this.#take(KEY);
    if (key === "") this.#fail("a key");
    this.#take(BLANKS);
    if (!this.#accept("=")) this.#fail(`"=" after the key ${quote(key)}`);
    this.#take(BLANKS);
    return { key, value: this.#value(0), place };
  }

  #endOfStatement(): void {
    this.#take(BLANKS);
    const ended = this.#accept(";") || this.#takeLineEnd() || this.#text[this.#at] === "#" ||
      this.#at === this.#text.length;
    if (!ended) this.#fail('the end of the line, ";" or a comment after the value');
    this.#skipLines();
  }

  #value(depth: number): ConfigValue {
    if (this.#accept('"""')) return { kind: "string", value: this.#longString() };
    if (this.#accept('"')) return { kind: "string", value: this.#shortString('"') };
    if (this.#accept("'")) return { kind: "string", value: this.#shortString("'") };
    if (this.#text[this.#at] === "[") return { kind: "list", items: this.#list(depth + 1) };
    return { kind: "integer", value: this.#integer() };
  }

  #shortString(delimiter: '"' | "'"): string {
    const value = this.#take(delimiter === '"' ? /[^"\r\n]*/y : /[^'\r\n]*/y);
    if (!this.#accept(delimiter)) this.#fail(`a closing ${delimiter} in the same line`);
    return value;
  }

  #longString(): string {
    const end = this.#text.indexOf('"""', this.#at);
    if (end < 0) {
      throw new ConfigError(
        this.#place(),
        'a closing """ for the string that begins here',
        "the end of the file",
      );
    }
    const value = this.#text.slice(this.#at, end);
    this.#at = end + 3;
    this.#line += value.match(LINE_ENDS)?.length ?? 0;
    return value;
  }

  #integer(): number {
    const at = this.#at;
    const word = this.#take(NUMBER_LIKE);
    if (word === "") this.#fail("a value (a string in quotes, an integer or a list)");
    const value = INTEGER.test(word) ? Number(word) + 0 : NaN;
    if (Number.isSafeInteger(value)) return value;
    this.#at = at;
    const wanted = Number.isNaN(value)
      ? "an integer"
      : `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`;
    throw new ConfigError(this.#place(), wanted, quote(word));
  }

  #list(depth: number): ConfigValue[] {
    if (depth > DEEPEST_LIST) this.#fail(`at most ${DEEPEST_LIST} lists inside each other`);
    const opened = this.#line;
    const items: ConfigValue[] = [];
    this.#accept("[");
    this.#skipLines();
    while (!this.#accept("]")) {
      if (this.#at === this.#text.length) this.#fail(`"]" to close the list of line ${opened}`);
      items.push(this.#value(depth));
      this.#skipLines();
      if (this.#accept(",")) this.#skipLines();
      else if (this.#text[this.#at] !== "]") this.#fail(`"," or "]" in the list of line ${opened}`);
    }
    return items;
  }

  /** Blanks, comments and line ends, as many as there are. */
  #skipLines(): void {
    while (this.#take(BLANKS) !== "" || this.#take(COMMENT) !== "" || this.#takeLineEnd());
  }

  #takeLineEnd(): boolean {
    if (this.#take(LINE_END) === "") return false;
    this.#line += 1;
    return true;
  }

  /** What the sticky `pattern` matches here, or the empty string. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += taken.length;
    return taken;
  }

  #accept(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #place(): string {
    return `${this.#fileName}:${this.#line}`;
  }

  #fail(expected: string): never {
    throw new ConfigError(this.#place(), expected, this.#found());
  }

  #found(): string {
    const next = this.#text[this.#at];
    if (next === undefined) return "the end of the file";
    if (next === "\n" || next === "\r") return "the end of the line";
    if (next === "#") return "a comment";
    return quote(this.#take(WORD));
  }
}

/** File and line where a key is set, the first time; the file where it is not. */
export function placeOfKey(entries: readonly ConfigEntry[], key: string, fileName: string): string {
  return entries.find((entry) => entry.key === key)?.place ?? fileName;
}
