import type { HostModel, Step, Without } from "../host_model.ts";

/** Rules of the protocol that can be left out, to see that it is noticed. */
export const RULES = {
  "end": "a host that was started again ends what it had before",
  "boot": "not what is of the same start of the kernel",
  "machine": "not what was on another machine, of which it is a copy",
  "container": "not in a container, whose last writes may still come",
} as const;

type Rule = keyof typeof RULES;
/** A host takes the lock of one that was fenced. */
type Effect = "takes";
type RebootedStep = Step<RebootedHost, Effect>;

/** A host, as far as one disk and its first session are concerned. */
interface RebootedHost {
  readonly kind: "metal" | "container";
  /** Who writes to the disk in that session; "late": what a guest that is gone has written. */
  readonly writes: "nobody" | "guest" | "late";
  /** Which daemon is heard of under the host's id: that of the session, or one that has begun another one. */
  readonly heard: "first" | "restarted" | "copy" | "started-again";
  /** In etcd: whether the session has the lock, and whether it was fenced. */
  readonly lock: boolean;
  readonly fenced: boolean;
}

/** What others have of the lock. */
interface Others {
  readonly locked: boolean;
  readonly fenced: boolean;
}

interface Meaning extends Others {
  readonly writes: boolean;
  readonly left: boolean;
}

const NEW_HOST: RebootedHost = {
  kind: "metal",
  writes: "nobody",
  heard: "first",
  lock: false,
  fenced: false,
};

function ofGuest(host: RebootedHost, others: Others): RebootedStep[] {
  const { heard, lock, writes } = host;
  if (writes === "late") return [{ name: "the last write lands", host: { ...host, writes: "nobody" } }];
  if (heard !== "first") return [];
  if (writes === "guest") {
    return [{ name: "the guest ends", host: { ...host, writes: "nobody", lock: false } }];
  }
  if (lock || others.locked) return [];
  const runs = { ...host, writes: "guest", lock: true } as const;
  return [
    others.fenced
      ? { name: "a guest gets the lock of a host that was fenced", host: runs, others: ["takes"] }
      : { name: "a guest gets the lock", host: runs },
  ];
}

/** What happens to a host under whose id another daemon is heard of then. */
function ofStarts(host: RebootedHost, without: Without<Rule>): RebootedStep[] {
  if (host.heard !== "first") return [];
  const { kind, writes } = host;
  const ends = !without.has("end");
  const joins = (name: string, next: RebootedHost, trusted: boolean) => ({
    name,
    host: { ...next, fenced: next.lock && ends && trusted },
  });
  const ended = kind === "metal" || writes === "nobody" ? "nobody" : "late";
  return [
    joins(
      "its daemon loses its note, and starts",
      { ...host, heard: "restarted" },
      without.has("boot"),
    ),
    joins(
      "it is cut off from etcd, and a copy of its disk starts in another machine",
      { ...host, heard: "copy" },
      without.has("machine"),
    ),
    joins(
      `the ${kind === "metal" ? "machine loses its power" : "container is killed"}, and starts`,
      { ...host, heard: "started-again", writes: ended },
      kind === "metal" || without.has("container"),
    ),
  ];
}

/** Hosts that are started again, or copied, and end their earlier start. @param without rules left out */
export function reboots(without: Without<Rule>): HostModel<RebootedHost, Meaning, Effect> {
  return {
    first: NEW_HOST,
    effects: ["takes"],
    contexts: 4,
    normal: (host) => host,
    steps: (host, context) => {
      const others = { locked: (context & 1) !== 0, fenced: (context & 2) !== 0 };
      const container: RebootedStep = { name: "it is a container", host: { ...host, kind: "container" } };
      return [
        ...ofGuest(host, others),
        ...ofStarts(host, without),
        ...host.heard === "first" && host.writes === "nobody" ? [container] : [],
        ...host.fenced && host.lock
          ? [{ name: "what was fenced is taken away", host: { ...host, lock: false } }]
          : [],
      ];
    },
    meaning: ({ kind, writes, heard, lock, fenced }) => ({
      locked: lock && !fenced,
      fenced: lock && fenced,
      writes: writes !== "nobody",
      left: kind === "metal" && heard === "started-again" && lock && !fenced,
    }),
    context: (others) =>
      (others.some(({ locked }) => locked) ? 1 : 0) + (others.some(({ fenced }) => fenced) ? 2 : 0),
    touched: (host, effect) => {
      switch (effect) {
        case "takes":
          return host.fenced ? { ...host, lock: false } : host;
      }
    },
    wrong: (all) => {
      if (all.filter(({ writes }) => writes).length > 1) return "two guests write to one disk";
      const left = all.findIndex((each) => each.left);
      return left < 0 ? undefined : `something is left in etcd of host ${left + 1}`;
    },
  };
}
