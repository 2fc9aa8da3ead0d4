/**
 * A text for a record of one line: each control character becomes a question mark, so that neither a newline
 * in a name nor what another host has written begins a line of its own or steers a terminal.
 */
export function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex -- those are what it is about
  return text.replace(/[\x00-\x1f\x7f]/g, "?");
}
