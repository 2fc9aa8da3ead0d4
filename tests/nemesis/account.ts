/** How long before something was found it is of interest what else happened, in ms. */
const BEFORE_MS = 20_000;
/** At most so many lines of guests' lives, of what else happened, and of each log. */
const LIFE_LINES = 40;
const TIME_LINES = 60;
const LOG_LINES = 25;
const WIDTH = 240;
/** In a daemon's log, where the first violation was noticed. */
export const NOTICED = "--- here the first violation was noticed ---";

/** A line of a history. */
interface HistoryLine {
  readonly at: number;
  readonly kind: string;
  readonly [fact: string]: unknown;
}

/** What tells of a guest, by the names of the facts. */
const GUEST_FACTS = ["guest", "from", "to", "paused", "started"];
const FAULTS = ["fault", "fault over", "held up"];
const FOUND = ["violation", "leak"];

/** What there is to tell how something came. */
export interface AccountParts {
  /** Text of the history's file. */
  readonly history: string;
  /** What was found, the first first. */
  readonly found: readonly string[];
  /** Of each daemon, by its host's name. */
  readonly logs: ReadonlyMap<string, string>;
}

/**
 * Tells how the first thing came that was found in a run, at most about 200 lines, the most telling first:
 * what became of the guests that it names, what happened to its disk and what went wrong in the time before,
 * and what the daemons said last.
 */
export function accountOf({ history, found, logs }: AccountParts): string[] {
  const [first = ""] = found;
  const lines = history.trimEnd().split("\n").map((line) => JSON.parse(line) as HistoryLine);
  const end = lines.findIndex(({ kind }) => FOUND.includes(kind));
  const before = end < 0 ? lines : lines.slice(0, end);
  const names = guestsIn(first, before);
  const lives = before.filter((line) => GUEST_FACTS.some((fact) => names.has(String(line[fact]))));
  const disk = /\bdisk ?(\d+)/.exec(first)?.[1];
  const begin = (before.at(-1)?.at ?? 0) - BEFORE_MS;
  const recent = before.filter((line) => line.at >= begin && !lives.includes(line));
  const ofDisk = (line: HistoryLine) => disk === undefined || String(line["disk"]) === disk;
  const granted = new Set(
    recent.filter((line) => line.kind === "granted" && ofDisk(line)).map(({ guest }) => guest),
  );
  const time = recent.filter((line) => {
    return FAULTS.includes(line.kind) || ofDisk(line) || line.kind === "kill" && granted.has(line["guest"]);
  });
  return [
    `Found: ${first}`,
    `== ${[...names].join(" and ") || "No guest is named"}:`,
    ...lives.slice(-LIFE_LINES).map(told),
    `== Faults, and disk ${disk ?? "of any number"}, in the ${BEFORE_MS / 1000} s before:`,
    ...time.slice(-TIME_LINES).map(told),
    ...[...logs].flatMap(([host, log]) => [`== The daemon of ${host}:`, ...lastLines(log)]),
  ];
}

/** Guests that a text names, by their names or by the numbers that they wrote as. */
function guestsIn(text: string, lines: readonly HistoryLine[]): Set<string> {
  const names = new Set(text.match(/guest \d+ on \w+/g));
  for (const [, number] of text.matchAll(/guest (\d+)\b(?! on)/g)) {
    const writer = lines.findLast(({ kind, as }) => kind === "writes" && as === Number(number));
    if (writer !== undefined) names.add(String(writer["guest"]));
  }
  return names;
}

/** Texts are long, and come last. */
function told({ at, kind, text, ...facts }: HistoryLine): string {
  const all = text === undefined ? facts : { ...facts, text };
  const said = Object.entries(all).map(([name, value]) => `${name} ${String(value)}`).join(", ");
  return cut(`${(at / 1000).toFixed(3).padStart(8)}  ${kind}: ${said}`);
}

/** Up to where something was noticed, if that is said. */
function lastLines(log: string): string[] {
  const [before = ""] = log.split(NOTICED);
  return before.trimEnd().split("\n").slice(-LOG_LINES).map(cut);
}

function cut(line: string): string {
  return line.length > WIDTH ? `${line.slice(0, WIDTH)}...` : line;
}
