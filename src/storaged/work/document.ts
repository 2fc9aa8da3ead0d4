// Values between the daemon and its helpers as text: JSON with bigints.

/** A value as text: what JSON can carry, and bigints. */
export function documentText(value: unknown): string {
  return JSON.stringify(value, carryBigint);
}

/** The value of a text of {@link documentText}; what was undefined in it is not there. */
export function readDocument(text: string): unknown {
  return JSON.parse(text, reviveBigint);
}

/** A bigint as an object that nothing else looks like. */
function carryBigint(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? { $bigint: value.toString() } : value;
}

function reviveBigint(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("$bigint" in value)) return value;
  return BigInt(String(value.$bigint));
}
