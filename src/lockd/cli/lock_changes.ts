import { timeText } from "../../chassis/cli/table.ts";
import { plainText } from "../../chassis/log/plain_text.ts";
import { holderText } from "./shown/holder_text.ts";
import { type ListedLock, processText, stateText } from "./shown/listed_lock.ts";

/** What became of a lock that somebody holds. */
export interface LockChange {
  /** `+` it was taken, `-` it is gone, `~` something about it has changed. */
  readonly change: "+" | "-" | "~";
  /** When this was seen, Unix milliseconds. */
  readonly atMs: number;
  /** With the one holder that this is about. */
  readonly lock: ListedLock;
}

/** Tells what has changed between one list of locks and the next. */
export class LockChanges {
  #known = new Map<string, ListedLock>();

  /** What is different since the last list. All is new in the first one. */
  since(locks: readonly ListedLock[], atMs: number): LockChange[] {
    const now = new Map(locks.flatMap(byHolder));
    const gone = [...this.#known].filter(([key]) => !now.has(key)).map(([, lock]) =>
      ({ change: "-", atMs, lock }) as const
    );
    const others: LockChange[] = [];
    for (const [key, lock] of now) {
      const before = this.#known.get(key);
      if (before === undefined) others.push({ change: "+", atMs, lock });
      else if (JSON.stringify(before) !== JSON.stringify(lock)) others.push({ change: "~", atMs, lock });
    }
    this.#known = now;
    return [...gone, ...others];
  }
}

/** A change as a line for people. */
export function changeText({ change, atMs, lock }: LockChange): string {
  const { lockspace, resource, mode, disk, holders } = lock;
  const [holder] = holders;
  const file = lockspace === "" ? resource : `${lockspace}/${resource}`;
  const process = holder && processText(holder);
  const parts = [
    `${timeText(atMs)} ${change} ${file}`,
    ...disk === undefined ? [] : [`of disk ${disk}`],
    mode,
    ...holder === undefined ? [] : [holderText(holder)],
    ...process === undefined ? [] : [process],
  ];
  return `${plainText(`${parts.join(", ")}: ${change === "-" ? "released" : stateText(lock)}`)}\n`;
}

/** A lock once for each holder that is listed. */
function byHolder(lock: ListedLock): [string, ListedLock][] {
  return lock.holders.map((holder) => [
    `${lock.id} ${holder.pid} ${holder.uuid}`,
    { ...lock, holders: [holder] },
  ]);
}
