type Token =
  | { readonly kind: "star" }
  | { readonly kind: "any" }
  | { readonly kind: "character"; readonly code: number }
  | {
    readonly kind: "set";
    readonly negated: boolean;
    readonly ranges: ReadonlyArray<readonly [number, number]>;
  };

const BACKSLASH = "\\";

/**
 * A shell pattern as fnmatch(3) takes it without flags: `*`, `?`, `[a-z]`, `[!a-z]` and backslash. A bracket
 * that is never closed is an ordinary character.
 *
 * Matching takes at most pattern length times text length steps, whatever the pattern.
 */
export class Glob {
  readonly #tokens: readonly Token[];

  constructor(pattern: string) {
    this.#tokens = tokenize(pattern);
  }

  /** Whether the pattern covers the whole text. */
  matches(text: string): boolean {
    const tokens = this.#tokens;
    let token = 0;
    let at = 0;
    // Where to go on after a mismatch: the last star takes one more character.
    let star = -1;
    let starAt = 0;
    while (at < text.length) {
      const current = tokens[token];
      if (current?.kind === "star") {
        star = token++;
        starAt = at;
      } else if (current !== undefined && accepts(current, text.charCodeAt(at))) {
        token++;
        at++;
      } else if (star >= 0) {
        token = star + 1;
        at = ++starAt;
      } else {
        return false;
      }
    }
    while (tokens[token]?.kind === "star") token++;
    return token === tokens.length;
  }
}

function accepts(token: Token, code: number): boolean {
  switch (token.kind) {
    case "star":
      return false;
    case "any":
      return true;
    case "character":
      return token.code === code;
    case "set":
      return token.ranges.some(([first, last]) => code >= first && code <= last) !== token.negated;
  }
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === "*") {
      if (tokens.at(-1)?.kind !== "star") tokens.push({ kind: "star" });
    } else if (character === "?") {
      tokens.push({ kind: "any" });
    } else if (character === "[") {
      const set = readSet(pattern, at);
      if (set === undefined) {
        tokens.push({ kind: "character", code: character.charCodeAt(0) });
      } else {
        tokens.push(set.token);
        at = set.last;
      }
    } else {
      if (character === BACKSLASH && at + 1 < pattern.length) at++;
      tokens.push({ kind: "character", code: pattern.charCodeAt(at) });
    }
  }
  return tokens;
}

/**
 * The bracket expression that opens at `open`, and the index of its closing bracket; undefined when there is
 * none.
 */
function readSet(pattern: string, open: number): { token: Token; last: number } | undefined {
  let at = open + 1;
  const negated = pattern.charAt(at) === "!" || pattern.charAt(at) === "^";
  if (negated) at++;
  const ranges: Array<readonly [number, number]> = [];
  for (const start = at; at < pattern.length; at++) {
    // A closing bracket that comes first is a member of the set.
    if (pattern.charAt(at) === "]" && at > start) {
      return { token: { kind: "set", negated, ranges }, last: at };
    }
    if (pattern.charAt(at) === BACKSLASH && at + 1 < pattern.length) at++;
    const first = pattern.charCodeAt(at);
    if (pattern.charAt(at + 1) === "-" && at + 2 < pattern.length && pattern.charAt(at + 2) !== "]") {
      ranges.push([first, pattern.charCodeAt(at + 2)]);
      at += 2;
    } else {
      ranges.push([first, first]);
    }
  }
  return undefined;
}
