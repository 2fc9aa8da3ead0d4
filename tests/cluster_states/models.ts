import { fences, RULES as FENCES } from "./fenced/protocol.ts";
import type { HostModel } from "./host_model.ts";
import { locks, RULES as LOCKS } from "./locks/protocol.ts";
import { pauses } from "./paused/protocol.ts";
import { KILLED_RULES, TAKING_RULES, UNKILLED_RULES } from "./paused/rules.ts";
import { reboots, RULES as REBOOTS } from "./rebooted/protocol.ts";
import { restores, RULES as RESTORES } from "./restored/protocol.ts";
import { RULES as SHARES, shares } from "./sharers/protocol.ts";
import { search, type SearchResult } from "./search.ts";
import { sweep, type SweepResult } from "./sweep.ts";

/** A model that can be looked at, with and without its rules. */
export interface NamedModel {
  readonly about: string;
  /** How many hosts, unless somebody says so. */
  readonly hosts: number;
  /** What each of its rules says, by their names. */
  readonly rules: Readonly<Record<string, string>>;
  /** Looks at all states. @param without names of rules left out @throws Error when there is no such rule */
  sweep(hosts: number, without: readonly string[]): SweepResult;
  /** Looks for the shortest way to one that is wrong. */
  search(hosts: number, without: readonly string[]): SearchResult;
}

function named<Rule extends string, State extends object, Meaning, Effect extends string>(
  about: string,
  hosts: number,
  rules: Readonly<Record<Rule, string>>,
  make: (without: ReadonlySet<Rule>) => HostModel<State, Meaning, Effect>,
): NamedModel {
  const isRule = (name: string): name is Rule => Object.hasOwn(rules, name);
  const made = (without: readonly string[]) => {
    const known = without.filter(isRule);
    if (known.length < without.length) throw new Error(`There is no rule ${without}`);
    return make(new Set(known));
  };
  return {
    about,
    hosts,
    rules,
    sweep: (count, without) => sweep(count, made(without)),
    search: (count, without) => search(count, made(without)),
  };
}

/** All of them, by their names. */
export const MODELS = {
  locks: named(
    "one disk, alone or to share it; hosts lose their power and are said to be down",
    3,
    LOCKS,
    locks,
  ),
  paused: named(
    "guests that are paused, moved, and not moved after all",
    2,
    UNKILLED_RULES,
    (without) => pauses(without, "none"),
  ),
  "paused-taking": named(
    "the same where daemons are killed that have granted nothing that has not run",
    2,
    TAKING_RULES,
    (without) => pauses(without, "never what was granted and has not run"),
  ),
  "paused-killed": named(
    "the same where daemons are killed",
    2,
    KILLED_RULES,
    (without) => pauses(without, "any"),
  ),
  sharers: named(
    "two guests of a host that share one disk",
    2,
    SHARES,
    shares,
  ),
  fenced: named(
    "hosts that programs fence, two at once, which fail, are killed, or lie",
    2,
    FENCES,
    fences,
  ),
  rebooted: named(
    "hosts that are started again, copied, or containers, and end what they had before",
    3,
    REBOOTS,
    reboots,
  ),
  restored: named("an etcd that is saved and restored at any time", 2, RESTORES, restores),
};
