import type { HostModel, Step, Without } from "../host_model.ts";
import { unused } from "../numbers.ts";
import { applied, type Others, type Outcome, sent } from "./etcd_changes.ts";
import { attempts, epochs, type LockingHost, type Message, NEW_HOST, normal } from "./locking_host.ts";
import { contextOf, DISK_CONTEXTS, type DiskUse, inContext, wrongUse } from "../shared_disk.ts";

/** Rules of the protocol that can be left out, to see that it is noticed. */
export const RULES = {
  "acquire-epoch": "an acquire compares the session's revision",
  "acquire-absent": "an acquire compares that nobody is in the way",
  "release-record": "a release compares that the record is the one it is for",
  "bump": "after an unknown outcome the session is written anew before anything is looked up",
  "look-up": "after an unknown outcome it is looked up what etcd has",
  "answer-last": "a guest is told that it has the lock when etcd has said so",
  "quiesce": "a lock is given back when the last writes have landed",
  "start-bump": "a daemon that starts writes the session anew before it looks",
  "start-list": "a daemon that starts looks up what etcd has of its host",
  "start-living": "a daemon that starts keeps what is there for a process that lives",
  "start-quiesce": "a daemon that starts waits for the last writes of a process that is gone",
  "no-lease": "a lock does not go with a lease",
  "fence-session": "saying that a host is down changes its session",
  "fence-truth": "a host is said to be down only when it is",
} as const;

export type Rule = keyof typeof RULES;

/** What a release does that deletes whatever is there. */
type Effect = "robs";

type LockingStep = Step<LockingHost, Effect>;

/** So many messages of a host may be on their way with nobody waiting for them. */
const MOST_LATE = 2;

/**
 * The protocol by which hosts lock one disk in etcd, as docs/cluster.md has it: everything that may happen to
 * one host, whatever the others do meanwhile.
 *
 * @param without rules that are left out
 */
function steps(host: LockingHost, others: Others, without: Without<Rule>): LockingStep[] {
  return [
    ...ofMessages(host, others, without),
    ...ofGuest(host, without),
    ...ofDaemon(host, without),
    ...ofHost(host, without),
  ].map((step) => ({ ...step, host: withoutVain(step.host, without) }));
}

/** Without what nobody waits for and etcd can only refuse: revisions and numbers of tries never come back. */
function withoutVain(host: LockingHost, without: Without<Rule>): LockingHost {
  const messages = host.messages.filter(({ op, epoch, awaited }) =>
    awaited || epoch === host.session || (op === "acquire" && without.has("acquire-epoch"))
  );
  return { ...host, messages };
}

/** etcd does what is on its way, and says so or not; or nobody waits any more. */
function ofMessages(host: LockingHost, others: Others, without: Without<Rule>): LockingStep[] {
  const late = host.messages.filter(({ awaited }) => !awaited).length;
  return host.messages.flatMap((message, index) => {
    const rest = { ...host, messages: host.messages.filter((_, other) => other !== index) };
    const { op, awaited } = message;
    const { after, outcome, robs } = applied(rest, message, others, without);
    const effects = { others: robs === true ? ["robs"] as const : [] };
    if (!awaited) return [{ name: `etcd does a late ${op}: ${outcome}`, host: after, ...effects }];
    const found: LockingStep[] = [
      { name: `${op}: ${outcome}`, host: answered(after, message, outcome), ...effects },
      {
        name: `${op}: ${outcome}, which nobody is told`,
        host: doubting(after, message, without),
        ...effects,
      },
    ];
    if (late < MOST_LATE) {
      const left = { ...rest, messages: [...rest.messages, { ...message, awaited: false }] };
      found.push({ name: `${op} takes too long`, host: doubting(left, message, without) });
    }
    return found;
  });
}

function answered(host: LockingHost, { op }: Message, outcome: Outcome): LockingHost {
  switch (op) {
    case "bump":
      if (outcome !== "done") return host;
      return { ...host, daemon: "live", epoch: host.session };
    case "acquire":
      if (outcome === "done") return taken(host);
      return { ...withoutAsker(host), lock: "none", attempt: 0, ...outcome === "moved" ? UNSURE : {} };
    case "release":
      if (outcome === "moved") return { ...host, ...UNSURE };
      return { ...host, lock: "none", attempt: 0 };
  }
}

/** A daemon that has been started sees what etcd has of its host. */
function listed(host: LockingHost): LockingHost {
  const known = { ...host, listed: true };
  const found = host.alone === 0 ? host.share : host.alone;
  if (host.lock !== "none") return found === host.attempt ? known : { ...known, lock: "none", attempt: 0 };
  if (found === 0) return known;
  // For a process that is gone it goes, for one that lives it stays: the next steps see to that.
  return { ...known, lock: "held", attempt: found, found: true, shared: host.alone === 0 };
}

const UNSURE = { daemon: "unsure", epoch: 0 } as const;

/** etcd has the lock. If its guest has given up meanwhile, it is given back. */
function taken(host: LockingHost): LockingHost {
  switch (host.guest) {
    case "asking":
      return { ...host, guest: "running", lock: "held" };
    case "running":
      return { ...host, lock: "held" };
    case "none":
    case "landing":
      return { ...host, lock: "due" };
  }
}

function withoutAsker(host: LockingHost): LockingHost {
  return host.guest === "asking" ? { ...host, guest: "none" } : host;
}

/** No answer has come: what became of it is not known. */
function doubting(host: LockingHost, { op }: Message, without: Without<Rule>): LockingHost {
  const doubt = without.has("bump") && op !== "bump" ? host : { ...host, ...UNSURE };
  if (op !== "acquire") return doubt;
  if (without.has("look-up")) return { ...withoutAsker(doubt), lock: "none", attempt: 0 };
  return { ...doubt, lock: "unknown" };
}

function ofGuest(host: LockingHost, without: Without<Rule>): LockingStep[] {
  const { guest, lock, daemon, epoch } = host;
  switch (guest) {
    case "none": {
      if (lock !== "none" || daemon !== "live" || !host.listed) return [];
      return [false, true].map((shared) => {
        const attempt = unused(attempts(host));
        const asking = { ...host, guest: "asking", lock: "acquiring", attempt, shared } as const;
        const told = without.has("answer-last") ? { ...asking, guest: "running" } as const : asking;
        return {
          name: `a guest asks ${shared ? "to share" : "alone"}`,
          host: sent(told, { op: "acquire", epoch, attempt, shared }),
        };
      });
    }
    case "asking":
      return [{ name: "the guest is told that there is no answer", host: { ...host, guest: "none" } }];
    case "running":
      return [{ name: "the guest is killed", host: { ...host, guest: "landing" } }];
    case "landing":
      return [{ name: "its last write lands", host: { ...host, guest: "none" } }];
  }
}

function ofDaemon(host: LockingHost, without: Without<Rule>): LockingStep[] {
  const { daemon, lock, guest, attempt, shared, epoch, session } = host;
  if (host.messages.some(({ awaited }) => awaited)) return [];
  switch (daemon) {
    case "off":
    case "fenced":
      return [];
    case "unsure": {
      if (!host.listed && without.has("start-bump")) {
        return [{ name: "it reads its session", host: { ...host, daemon: "live", epoch: session } }];
      }
      const bump = { op: "bump", epoch: session, attempt: 0, shared: false } as const;
      return [{ name: "it writes its session anew", host: sent(host, bump) }];
    }
    case "live":
  }
  if (!host.listed) {
    const known = without.has("start-list") ? { ...host, listed: true } : listed(host);
    return [{ name: "it looks what is there", host: known }];
  }
  // Whatever it does for whatever reason, it may do so at any time.
  const found: LockingStep[] = [{ name: "it doubts", host: { ...host, ...UNSURE } }];
  if (lock === "unknown") {
    const there = (shared ? host.share : host.alone) === attempt;
    const after = there ? taken(host) : { ...withoutAsker(host), lock: "none", attempt: 0 } as const;
    found.push({ name: `it looks up the lock, which is ${there ? "" : "not "}there`, host: after });
  }
  if (lock === "due") {
    const release = { op: "release", epoch, attempt, shared } as const;
    found.push({ name: "it gives the lock back", host: sent(host, release) });
  }
  if (lock === "held" && mayGive(host, without)) {
    found.push({ name: `it notices that its guest is ${guest}`, host: { ...host, lock: "due" } });
  }
  return found;
}

/** Whether the daemon gives back what it has. */
function mayGive({ guest, found }: LockingHost, without: Without<Rule>): boolean {
  switch (guest) {
    case "none":
      return true;
    case "landing":
      return without.has("quiesce") || (without.has("start-quiesce") && found);
    case "asking":
    case "running":
      return without.has("start-living") && found;
  }
}

/** The daemon is killed, or the host loses its power. */
function ofHost(host: LockingHost, without: Without<Rule>): LockingStep[] {
  const messages = host.messages.map((message) => ({ ...message, awaited: false }));
  if (messages.length > MOST_LATE) return [];
  const { alone, share } = host;
  const session = without.has("fence-session") ? host.session : unused(epochs(host));
  // Its locks may be taken from now on: for others it is as if they had gone.
  const fenced = { session, alone: 0, share: 0 };
  switch (host.daemon) {
    case "off":
      return [{ name: "somebody says that it is down", host: { ...host, ...fenced, daemon: "fenced" } }];
    case "fenced":
      return [{ name: "it starts", host: NEW_HOST }];
    case "unsure":
    case "live":
  }
  const started = { ...withoutAsker(host), ...UNSURE, listed: false, messages };
  const granted = host.lock === "held" || host.lock === "due";
  const whole = granted ? {} : { lock: "none", attempt: 0 } as const;
  const off = { ...NEW_HOST, session: host.session, alone, share, daemon: "off", messages } as const;
  return [
    { name: "the daemon is killed, and starts", host: { ...started, ...whole } },
    {
      name: "the daemon is killed with all that it knew",
      host: { ...started, lock: "none", attempt: 0 },
    },
    { name: "the power fails", host: off },
    ...without.has("no-lease") ? [{ name: "its lease ends", host: { ...host, alone: 0, share: 0 } }] : [],
    ...without.has("fence-truth")
      ? [{
        name: "somebody says that the host is down, and it is not",
        host: { ...host, ...fenced },
      }]
      : [],
  ];
}

function meaning({ alone, share, guest, shared, daemon, listed, lock }: LockingHost): DiskUse {
  const busy = guest === "running" || guest === "landing";
  const idle = daemon === "live" && listed && guest === "none" && lock === "none";
  const over = idle || daemon === "fenced";
  const reads = shared && guest === "running";
  return {
    alone: alone !== 0,
    share: share !== 0,
    guests: busy && !shared ? "write" : reads ? "read" : "nothing",
    left: over && (alone !== 0 || share !== 0),
  };
}

/** Hosts that lock one disk, alone or to share it. @param without rules that are left out */
export function locks(without: Without<Rule>): HostModel<LockingHost, DiskUse, Effect> {
  return {
    first: NEW_HOST,
    effects: ["robs"],
    contexts: DISK_CONTEXTS,
    normal,
    steps: (host, context) => steps(host, inContext(context), without),
    meaning,
    context: contextOf,
    touched: (host) => without.has("release-record") ? { ...host, alone: 0 } : host,
    wrong: wrongUse,
  };
}
