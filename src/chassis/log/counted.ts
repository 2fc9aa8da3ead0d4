/**
 * A number with its noun, as people write it: `1 client`, `2 clients`.
 * @param plural where it is not the noun with an s
 */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** The first names of a list, each in quotes, and how many more there are: `'a', 'b' and 7 more`. */
export function someOf(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).map((name) => `'${name}'`).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
