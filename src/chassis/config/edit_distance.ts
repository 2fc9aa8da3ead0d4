/**
 * How many characters must be inserted, removed or replaced, or two that are side by side exchanged, to make
 * `to` out of `from`.
 */
export function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const areExchanged = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const exchanged = areExchanged ? before[j - 2] ?? 0 : Infinity;
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, exchanged + 1));
    }
    before = row;
    row = next;
  }
  return row[to.length] ?? 0;
}

/**
 * The one of `candidates` that is most like `word`; the first of equals.
 *
 * @throws RangeError when there are no candidates
 */
export function nearest(word: string, candidates: readonly string[]): string {
  const distances = candidates.map((candidate) => editDistance(word, candidate));
  const best = candidates[distances.indexOf(Math.min(...distances))];
  if (best === undefined) throw new RangeError(`Cannot find the nearest word to ${word}: no candidates`);
  return best;
}
