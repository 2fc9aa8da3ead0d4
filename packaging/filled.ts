/** A text with values in their places. @throws Error when a place is not in it exactly once */
export function filled(text: string, values: Readonly<Record<string, string>>): string {
  let result = text;
  for (const [place, value] of Object.entries(values)) {
    const count = result.split(place).length - 1;
    if (count !== 1) throw new Error(`Fill in ${place.trim()}: the text has it ${count} times, want once`);
    result = result.replace(place, () => value);
  }
  return result;
}
