import type { HostModel } from "./host_model.ts";
import { HostStates } from "./host_states.ts";

/** What was found. */
export interface SearchResult {
  /** States of one host, and how many of them can be told apart. */
  readonly explored: number;
  readonly distinct: number;
  /** States of all hosts together. */
  readonly states: number;
  /** What is wrong in the last state of the shortest way to one; undefined: nothing in any. */
  readonly wrong: string | undefined;
  /** That way, a line for each step. */
  readonly way: readonly string[];
}

interface Reached {
  /** Numbers of the hosts' states, by the hosts. */
  readonly hosts: readonly number[];
  readonly before: number;
  readonly step: string;
}

/**
 * Looks at every state that some hosts can be in, the nearest first, until one is wrong. Hosts are alike, so
 * a state counts once, whichever of them is in which.
 */
export function search<Meaning, Effect extends string>(
  count: number,
  model: HostModel<object, Meaning, Effect>,
): SearchResult {
  const hosts = new HostStates(model);
  const first = Array<number>(count).fill(hosts.first);
  const reached: Reached[] = [{ hosts: first, before: -1, step: "" }];
  const keyOf = keys(count, hosts.size);
  const seen = new Set([keyOf(first)]);
  const facts = { explored: hosts.explored, distinct: hosts.size };
  for (let index = 0; index < reached.length; index++) {
    const { hosts: now = [] } = reached[index] ?? {};
    const wrong = model.wrong(now.map((number) => hosts.meaning(number)));
    if (wrong !== undefined) return { ...facts, states: seen.size, wrong, way: wayTo(reached, index) };
    for (let place = 0; place < count; place++) {
      for (const { name, next, others } of hosts.steps(now[place] ?? 0, now.toSpliced(place, 1))) {
        const after = others.length === 0 ? now.slice() : now.map((each) => hosts.touched(each, others));
        after[place] = next;
        const key = keyOf(after);
        if (seen.has(key)) continue;
        seen.add(key);
        reached.push({ hosts: after, before: index, step: `host ${place + 1}: ${name}` });
      }
    }
  }
  return { ...facts, states: seen.size, wrong: undefined, way: [] };
}

/** Gives the same number to the same states, whichever host is in which. */
function keys(count: number, size: number): (all: readonly number[]) => number {
  const sorted = Array<number>(count).fill(0);
  return (all) => {
    for (let place = 0; place < count; place++) {
      const number = all[place] ?? 0;
      let at = place;
      for (; at > 0 && (sorted[at - 1] ?? 0) > number; at--) sorted[at] = sorted[at - 1] ?? 0;
      sorted[at] = number;
    }
    let sum = 0;
    for (const number of sorted) sum = sum * size + number;
    return sum;
  };
}

function wayTo(reached: readonly Reached[], index: number): string[] {
  const way: string[] = [];
  for (let at = index; at > 0;) {
    const { step = "", before = 0 } = reached[at] ?? {};
    way.unshift(step);
    at = before;
  }
  return way;
}
