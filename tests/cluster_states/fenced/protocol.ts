import type { HostModel, Step, Without } from "../host_model.ts";
import { unused } from "../numbers.ts";
import { contextOf, DISK_CONTEXTS, type DiskUse, inContext, wrongUse } from "../shared_disk.ts";
import {
  type FencedHost,
  type Fencer,
  NEW_HOST,
  NEW_SESSION,
  normal,
  revisions,
  type Session,
} from "./fenced_host.ts";

/** Rules of the protocol that can be left out, to see that it is noticed. */
export const RULES = {
  "as-condemned": "a host is fenced only in the session as it was condemned",
  "look-again": "right before the program runs it is looked whether the host has objected",
  "exit-code": "only exit code 0 is the program's word",
  "killed-word": "a process that is killed while the program runs gives no word",
  "fenced-first": "a lock is taken from a host that is fenced, not from one that is condemned",
  "word-truth": "exit code 0 means that the host cannot write",
  "new-start": "a host that was started again has another session",
} as const;

type Rule = keyof typeof RULES;
type FencedStep = Step<FencedHost, never>;

/** So many processes fence a host at once: that they keep each other from it is a courtesy. */
const MOST_FENCERS = 2;

/** What a host means to others, and whether it was treated as it must not be. */
interface FencedUse extends DiskUse {
  readonly fault: FencedHost["fault"];
}

function steps(host: FencedHost, alone: boolean, without: Without<Rule>): FencedStep[] {
  return [
    ...ofGuest(host, alone),
    ...ofDaemon(host),
    ...ofPower(host, without),
    ...ofNewFencer(host, without),
    ...host.fencers.flatMap((fencer, index) => {
      const others = host.fencers.toSpliced(index, 1);
      return ofFencer({ ...host, fencers: others }, fencer, without);
    }),
  ];
}

/** What is asked of etcd is answered at once: what comes late is in the model of the locks. */
function ofGuest(host: FencedHost, alone: boolean): FencedStep[] {
  const { power, guest, epoch, now } = host;
  if (power === "off") return [];
  if (guest === "running") return [{ name: "the guest ends", host: { ...host, guest: "none" } }];
  if (epoch === 0 || epoch !== now.revision) return [];
  if (now.alone) {
    return [{ name: "the lock is given back", host: { ...host, now: { ...now, alone: false } } }];
  }
  if (alone || host.before?.alone === true) return [];
  return [{
    name: "a guest gets the lock",
    host: { ...host, guest: "running", now: { ...now, alone: true } },
  }];
}

/** It may take its time, as one does that cannot reach etcd, or hangs. */
function ofDaemon(host: FencedHost): FencedStep[] {
  const { power, epoch, now, fencers } = host;
  // One that was fenced, and lives, is another model's: a program has lied.
  if (power === "off" || epoch === now.revision || now.said === "fenced") return [];
  const revision = unused(revisions(host));
  const after = {
    ...host,
    epoch: revision,
    now: { ...now, revision, said: "nothing" },
    fencers: fencers.map((each) => each.start === "now" ? { ...each, objected: true } : each),
  } as const;
  return [{ name: `it writes its session anew, which was ${now.said}`, host: after }];
}

function ofPower(host: FencedHost, without: Without<Rule>): FencedStep[] {
  const { power, now, before, fencers } = host;
  if (power === "on") return [{ name: "the power fails", host: off(host) }];
  if (without.has("new-start")) {
    return [{
      name: "it starts, and believes what was said",
      host: { ...host, power: "on", epoch: now.revision },
    }];
  }
  if (before !== undefined) return [];
  const started = {
    ...host,
    power: "on",
    now: { ...NEW_SESSION, revision: unused(revisions(host)) },
    before: now,
    fencers: fencers.map((each) => ({ ...each, start: "before" } as const)),
  } as const;
  return [{ name: "it starts", host: started }];
}

function off(host: FencedHost): FencedHost {
  return { ...host, power: "off", guest: "none", epoch: 0, lied: false };
}

/** A peer has seen nothing of the host for long enough: which says nothing of whether it is well. */
function ofNewFencer(host: FencedHost, without: Without<Rule>): FencedStep[] {
  if (host.fencers.length === MOST_FENCERS) return [];
  return (["now", "before"] as const).flatMap((start): FencedStep[] => {
    const session = host[start];
    if (session === undefined || session.said === "fenced") return [];
    const revision = session.said === "condemned" ? session.revision : unused(revisions(host));
    const alone = session.alone && !without.has("fenced-first");
    const condemned = { ...session, revision, said: "condemned", alone } as const;
    const fencer = { start, stage: "condemned", revision, objected: false } as const;
    return [{
      name: `a peer condemns the start ${start}`,
      host: { ...host, [start]: condemned, fencers: [...host.fencers, fencer] },
    }];
  });
}

/** @param host without that process */
function ofFencer(host: FencedHost, fencer: Fencer, without: Without<Rule>): FencedStep[] {
  const become = (stage: Fencer["stage"], change: Partial<FencedHost> = {}) => {
    const changed = { ...host, ...change };
    return { ...changed, fencers: [...changed.fencers, { ...fencer, stage }] };
  };
  const { start, stage, revision, objected } = fencer;
  const session = host[start];
  const killed: FencedStep = { name: "a process that fences is killed", host };
  switch (stage) {
    case "condemned": {
      if (!isStill(session, revision) && !without.has("look-again")) {
        return [killed, { name: "it sees that the host has objected", host }];
      }
      const fault = objected ? "hit" : host.fault;
      return [killed, { name: "the program begins", host: become("running", { fault }) }];
    }
    case "running":
    case "cut": {
      const isCut = stage === "cut";
      const ending = without.has("exit-code") ? become("ended") : host;
      const left = without.has("killed-word") ? become("ended") : host;
      return [
        { name: "a process that fences is killed with its program", host: left },
        { name: "the program fails", host: ending },
        ...isCut ? [{ name: "the program succeeds", host: become("ended") }] : [],
        ...isCut ? [] : [{ name: "the program cuts the host off", host: cut(host, fencer) }],
        ...isCut ? [] : [{
          name: "the program says that it has cut the host off, and has not",
          host: become(without.has("word-truth") ? "ended" : "lied"),
        }],
      ];
    }
    case "ended":
    case "lied": {
      const mayBe = isStill(session, revision) ||
        (without.has("as-condemned") && session !== undefined && session.said !== "fenced");
      if (!mayBe || session === undefined) return [killed, { name: "its word does not count", host }];
      const fenced = { ...session, revision: unused(revisions(host)), said: "fenced", alone: false } as const;
      const fault = objected && start === "now" ? "fenced" : host.fault;
      const lied = host.lied || (stage === "lied" && start === "now" && host.power === "on");
      return [killed, {
        name: `the start ${start} is fenced`,
        host: { ...host, [start]: fenced, fault, lied },
      }];
    }
  }
}

/** The power of the host is cut, whichever start of it that hits. */
function cut(host: FencedHost, fencer: Fencer): FencedHost {
  const after = off(host);
  return { ...after, fencers: [...after.fencers, { ...fencer, stage: "cut" }] };
}

/** Whether a session is as it was condemned. */
function isStill(session: Session | undefined, revision: number): boolean {
  return session?.said === "condemned" && session.revision === revision;
}

function meaning({ now, before, guest, lied, fault }: FencedHost): FencedUse {
  return {
    alone: now.alone || before?.alone === true,
    share: false,
    guests: guest === "running" && !lied ? "write" : "nothing",
    left: false,
    fault,
  };
}

function wrong(all: readonly FencedUse[]): string | undefined {
  const { fault } = all.find((each) => each.fault !== "none") ?? { fault: "none" };
  switch (fault) {
    case "hit":
      return "a program is run against a host that has objected";
    case "fenced":
      return "a host is fenced that has objected";
    case "none":
      return wrongUse(all);
  }
}

/** Hosts that are fenced by programs which peers run. @param without rules that are left out */
export function fences(without: Without<Rule>): HostModel<FencedHost, FencedUse, never> {
  return {
    first: NEW_HOST,
    effects: [],
    contexts: DISK_CONTEXTS,
    normal,
    steps: (host, context) => steps(host, inContext(context).alone, without),
    meaning,
    context: contextOf,
    touched: (host) => host,
    wrong,
  };
}
