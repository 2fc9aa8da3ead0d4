/** A text as one word of a shell's command line, to be pasted. */
export function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The same for a word that a program must not take for an option: what follows is no option any more, so it
 * is the last thing on its line.
 */
export function shellOperand(text: string): string {
  return text.startsWith("-") ? `-- ${shellQuoted(text)}` : shellQuoted(text);
}
