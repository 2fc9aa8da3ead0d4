/** Longest string that an error shows of a document, in characters. */
const SHOWN = 60;

/** A JSON value as an error shows it. */
export function inWords(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "string" && value.length > SHOWN) return `${JSON.stringify(value.slice(0, SHOWN))}...`;
  return JSON.stringify(value);
}
