import { EACH_UNSAFE, UNSAFE } from "./unsafe_characters.ts";

/**
 * A text as one word of a shell's command line, to be pasted. What it cannot be shown with is in it by the
 * numbers of its bytes, which bash and others read between `$'` and `'`.
 */
export function shellQuoted(text: string): string {
  if (UNSAFE.test(text)) return `$'${text.replace(/[\\']/g, "\\$&").replace(EACH_UNSAFE, byNumber)}'`;
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function byNumber(character: string): string {
  const code = character.charCodeAt(0);
  // A byte that is no text, as the kernel's names may have it, is half of a character in ours.
  const bytes = code >= 0xdc80 && code <= 0xdcff ? [code - 0xdc00] : new TextEncoder().encode(character);
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

/**
 * The same for a word that a program must not take for an option: what follows is no option any more, so it
 * is the last thing on its line.
 */
export function shellOperand(text: string): string {
  return text.startsWith("-") ? `-- ${shellQuoted(text)}` : shellQuoted(text);
}
