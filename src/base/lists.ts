import { invariant } from "./invariant.ts";

/**
 * Takes the element at a place out of a list. Array.splice takes a place of -1, which a search that found
 * nothing returns, for the last element.
 *
 * @returns the element
 * @throws InvariantError when there is no such place
 */
export function takeAt<T>(list: T[], place: number): T {
  invariant(place >= 0 && place < list.length, `A list of ${list.length} has no place ${place}`);
  return list.splice(place, 1)[0] as T;
}

/**
 * Takes an element, which must be there, out of a list: its first occurrence.
 *
 * @throws InvariantError when it is not there
 */
export function takeOut<T>(list: T[], element: T): void {
  takeAt(list, list.indexOf(element));
}

/** Order of texts by their code units, for a sort: the same in every locale. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
