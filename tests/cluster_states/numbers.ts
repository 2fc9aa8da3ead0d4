/** A number that is none of these. */
export function unused(numbers: readonly number[]): number {
  return 1 + Math.max(...numbers);
}

/**
 * Gives the smallest numbers that are equal where these are: revisions and numbers of tries stand for nothing
 * but being equal or not, and 0 stays 0.
 */
export function ranks(numbers: readonly number[]): (number: number) => number {
  const sorted = [...new Set([0, ...numbers])].sort((one, other) => one - other);
  return (number) => sorted.indexOf(number);
}

/** In one order, whatever it was. */
export function ordered<T>(values: readonly T[]): T[] {
  return values.toSorted((one, other) => JSON.stringify(one) < JSON.stringify(other) ? -1 : 1);
}
