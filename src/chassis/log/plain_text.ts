import { EACH_UNSAFE, UNSAFE } from "../../base/unsafe_characters.ts";

/**
 * A text that stays on one line and cannot steer a terminal: control characters, line separators, direction
 * marks and bytes that are not UTF-8 (lone surrogates, src/os/text.ts) are written as escapes such as `\n`,
 * `\x1b`, `\u{202e}`.
 *
 * Names that a client chose end up in log messages; without this a newline in one would forge a line of its
 * own.
 */
export function plainText(text: string): string {
  return UNSAFE.test(text) ? text.replace(EACH_UNSAFE, escape) : text;
}

/** Whether a text is another one, or what people see of that: it may be a copy from a table or a log. */
export function isShownAs(text: string, shown: string): boolean {
  return text === shown || plainText(text) === shown;
}

function escape(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  const code = character.charCodeAt(0);
  if (code <= 0xff) return byte(code);
  if (code >= 0xdc80 && code <= 0xdcff) return byte(code - 0xdc00);
  return `\\u{${code.toString(16)}}`;
}

function byte(value: number): string {
  return `\\x${value.toString(16).padStart(2, "0")}`;
}
