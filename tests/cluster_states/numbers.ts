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

/**
 * Writes numbers down in their order, as many as there is room for. They are few: to insert each takes the
 * least time.
 */
export function orderInto(numbers: Int32Array, into: Int32Array): void {
  for (let place = 0; place < into.length; place++) {
    const number = numbers[place] ?? 0;
    let at = place;
    for (; at > 0 && (into[at - 1] ?? 0) > number; at--) into[at] = into[at - 1] ?? 0;
    into[at] = number;
  }
}
