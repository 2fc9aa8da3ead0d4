import { HostStates } from "./host_states.ts";
import type { Rule } from "./protocol.ts";

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
 * Looks at every state that some hosts can be in, the nearest first, until one is wrong: two guests have one
 * disk, or etcd has something of a host that has nothing to do any more. Hosts are alike, so a state counts
 * once, whichever of them is in which.
 */
export function search(count: number, without: ReadonlySet<Rule>): SearchResult {
  const hosts = new HostStates(without);
  const first = Array<number>(count).fill(hosts.first);
  const reached: Reached[] = [{ hosts: first, before: -1, step: "" }];
  const seen = new Set<number>();
  const sorted = Array<number>(count).fill(0);
  const key = (all: readonly number[]): number => {
    for (let place = 0; place < count; place++) {
      const number = all[place] ?? 0;
      let at = place;
      for (; at > 0 && (sorted[at - 1] ?? 0) > number; at--) sorted[at] = sorted[at - 1] ?? 0;
      sorted[at] = number;
    }
    let sum = 0;
    for (const number of sorted) sum = sum * hosts.size + number;
    return sum;
  };
  seen.add(key(first));
  const facts = { explored: hosts.explored, distinct: hosts.size };
  for (let index = 0; index < reached.length; index++) {
    const { hosts: now = [] } = reached[index] ?? {};
    const wrong = wrongIn(hosts, now);
    if (wrong !== undefined) return { ...facts, states: seen.size, wrong, way: wayTo(reached, index) };
    for (let place = 0; place < count; place++) {
      const host = now[place] ?? 0;
      for (const { name, next, robs } of hosts.steps(host, now.toSpliced(place, 1))) {
        const after = robs ? now.map((each) => hosts.robbed(each)) : now.slice();
        after[place] = next;
        const number = key(after);
        if (seen.has(number)) continue;
        seen.add(number);
        reached.push({ hosts: after, before: index, step: `host ${place + 1}: ${name}` });
      }
    }
  }
  return { ...facts, states: seen.size, wrong: undefined, way: [] };
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

/** What must not be. */
function wrongIn(hosts: HostStates, all: readonly number[]): string | undefined {
  const meanings = all.map((number) => hosts.meaning(number));
  const writers = meanings.filter(({ guest }) => guest === "writes").length;
  if (writers > 1) return "two guests write to one disk";
  if (writers === 1 && meanings.some(({ guest }) => guest === "reads")) {
    return "a guest writes to a disk that another one shares";
  }
  const left = meanings.findIndex((meaning) => meaning.left);
  return left < 0 ? undefined : `something is left in etcd of host ${left + 1}`;
}
