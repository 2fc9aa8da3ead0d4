const LONGEST = 80;
/**
 * What cannot be seen, or breaks or reverses a line: controls, format characters, all spaces but the plain
 * one.
 */
const UNPRINTABLE = /(?! )[\p{Cc}\p{Cf}\p{Z}]/gu;

/**
 * Text from outside, made fit for one line of a log or terminal: in double quotes, what cannot be printed
 * escaped, cut after 80 characters.
 */
export function quote(text: string): string {
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return JSON.stringify(shown).replace(UNPRINTABLE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const digits = code.toString(16).padStart(4, "0");
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits}`;
}
