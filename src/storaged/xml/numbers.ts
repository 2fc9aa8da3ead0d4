import { commonError, documentError, storageError } from "../model/storage_error.ts";
import type { XmlElement } from "./xml_document.ts";

// Numbers, sizes and words in documents.

/** Largest off_t: no file is longer. */
export const LARGEST_FILE = 2n ** 63n - 1n;
/** Largest number of 64 bits. */
export const LARGEST = 2n ** 64n - 1n;

const LETTERS = "kmgtpe";

/** A whole number of 64 bits without a minus; undefined when it is none. White space may come first. */
export function unsigned(text: string): bigint | undefined {
  const [, digits] = /^\s*\+?(\d+)$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const value = BigInt(digits);
  return value > LARGEST ? undefined : value;
}

/** A whole number that may be negative; undefined when it is none, or none of 64 bits. */
export function signed(text: string): bigint | undefined {
  const [, sign, digits] = /^\s*([+-]?)(\d+)$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const value = sign === "-" ? -BigInt(digits) : BigInt(digits);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** How many bytes a unit has; undefined when it is none. */
function factorOf(unit: string): bigint | undefined {
  const lower = unit.toLowerCase();
  if (lower === "b" || lower === "byte" || lower === "bytes") return 1n;
  const power = LETTERS.indexOf(lower.charAt(0)) + 1;
  const rest = lower.slice(1);
  if (power === 0 || !["", "ib", "b"].includes(rest)) return undefined;
  return (rest === "b" ? 1000n : 1024n) ** BigInt(power);
}

/**
 * Bytes of a number with a unit.
 *
 * @param unit undefined or empty: bytes
 * @throws RpcFailure for a unit that is none, or more than `limit`
 */
export function scaled(value: bigint, unit: string | undefined, limit: bigint): bigint {
  const factor = unit === undefined || unit === "" ? 1n : factorOf(unit);
  if (factor === undefined) throw commonError("invalid-argument", `unknown suffix '${unit}'`);
  if (value > limit / factor) throw commonError("overflow", `value too large: ${value}${unit ?? ""}`);
  return value * factor;
}

/**
 * A word of a list in an attribute.
 *
 * @returns undefined when the attribute is absent
 * @throws RpcFailure for another word
 */
export function wordAttribute<Word extends string>(
  element: XmlElement,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const value = element.attributes.get(name);
  if (value === undefined) return undefined;
  const word = words.find((each) => each === value);
  if (word === undefined) {
    throw documentError(`Invalid value for attribute '${name}' in element '${element.name}': '${value}'.`);
  }
  return word;
}

/** `yes` or `no` in an attribute; undefined when it is absent. */
export function booleanAttribute(element: XmlElement, name: string): boolean | undefined {
  const word = wordAttribute(element, name, ["yes", "no"]);
  return word === undefined ? undefined : word === "yes";
}

/**
 * A number in an attribute, `fallback` when it is absent.
 *
 * @throws RpcFailure when it is none of 32 bits
 */
export function integerAttribute(element: XmlElement, name: string, fallback: number): number {
  const value = element.attributes.get(name);
  if (value === undefined) return fallback;
  const number = signed(value);
  if (number === undefined || BigInt.asIntN(32, number) !== number) {
    throw documentError(
      `Invalid value for attribute '${name}' in element '${element.name}': '${value}'. Expected integer value`,
    );
  }
  return Number(number);
}

/** The size that an element says. @throws RpcFailure when it is none, or longer than a file can be */
export function sizeOf(element: XmlElement): bigint {
  const value = unsigned(element.text);
  if (value === undefined) throw storageError("xml", "malformed capacity element");
  return scaled(value, element.attributes.get("unit"), LARGEST_FILE);
}
