import type { HostModel, Step, Without } from "../host_model.ts";
import { applied, type Others, type Outcome, sent } from "../locks/etcd_changes.ts";
import { attempts, type Message } from "../locks/locking_host.ts";
import { unused } from "../numbers.ts";
import { NEW_HOST, normal, type SharingHost } from "./sharing_host.ts";
import { contextOf, DISK_CONTEXTS, type DiskUse, inContext, wrongUse } from "../shared_disk.ts";

/** Rules of the protocol that can be left out, to see that it is noticed. */
export const RULES = {
  "share-last": "a share is given back when the last guest of its host has ended that has it",
  "share-anew": "who wants to share a disk whose share is on its way out waits, and takes another one",
  "share-stays":
    "a share that is found, and that others may have, stays when the guest has ended that it names",
  "share-strange": "others may have a share that was taken by a daemon whose knowledge was lost since",
  "share-closed": "a share that is found takes no more guests",
  "freed-unused": "a person frees a share only when no guest of its host uses the disk",
} as const;

type Rule = keyof typeof RULES;

type SharingStep = Step<SharingHost, never>;

/** So many messages of a host may be on their way with nobody waiting for them. */
const MOST_LATE = 2;
/** So many guests of a host share the disk: what holds for two holds for more. */
const MOST_GUESTS = 2;
const UNSURE = { daemon: "unsure", epoch: 0 } as const;
const NO_LOCK = { lock: "none", attempt: 0 } as const;

function steps(host: SharingHost, others: Others, without: Without<Rule>): SharingStep[] {
  const found = [
    ...ofMessages(host, others),
    ...ofGuests(host, without),
    ...ofDaemon(host, without),
    ...ofPerson(host, without),
    ...ofKills(host, without),
  ];
  return found.map((step) => ({ ...step, host: withoutVain(step.host) }));
}

/** Without what nobody waits for and etcd can only refuse. */
function withoutVain(host: SharingHost): SharingHost {
  const messages = host.messages.filter(({ epoch, awaited }) => awaited || epoch === host.session);
  return { ...host, messages };
}

function ofMessages(host: SharingHost, others: Others): SharingStep[] {
  const late = host.messages.filter(({ awaited }) => !awaited).length;
  return host.messages.flatMap((message, index) => {
    const rest = { ...host, messages: host.messages.filter((_, other) => other !== index) };
    const { op, awaited } = message;
    const { after, outcome } = applied(rest, message, others, new Set());
    if (!awaited) return [{ name: `etcd does a late ${op}: ${outcome}`, host: after }];
    const found: SharingStep[] = [
      { name: `${op}: ${outcome}`, host: answered(after, message, outcome) },
      { name: `${op}: ${outcome}, which nobody is told`, host: doubting(after, message) },
    ];
    if (late < MOST_LATE) {
      const left = { ...rest, messages: [...rest.messages, { ...message, awaited: false }] };
      found.push({ name: `${op} takes too long`, host: doubting(left, message) });
    }
    return found;
  });
}

function answered(host: SharingHost, { op }: Message, outcome: Outcome): SharingHost {
  if (op === "bump") return outcome === "done" ? { ...host, daemon: "live", epoch: host.session } : host;
  const known: SharingHost = outcome === "moved" ? { ...host, ...UNSURE } : host;
  if (op === "acquire") return outcome === "done" ? taken(host) : { ...known, ...NO_LOCK, asking: false };
  // Somebody shares it again meanwhile, which must not be.
  if (outcome === "moved" || host.lock === "held") return known;
  return { ...host, ...NO_LOCK };
}

/** etcd has the lock. If its guest has given up meanwhile, it is given back. */
function taken(host: SharingHost): SharingHost {
  if (!host.asking) return { ...host, lock: "due" };
  return { ...host, asking: false, lock: "held", known: 1, first: true };
}

/** No answer has come: what became of it is not known. */
function doubting(host: SharingHost, { op }: Message): SharingHost {
  return { ...host, ...UNSURE, ...op === "acquire" ? { lock: "unknown" } : {} };
}

function ofGuests(host: SharingHost, without: Without<Rule>): SharingStep[] {
  const { lock, daemon, listed, epoch, shared, found, known, unknown, first } = host;
  const steps: SharingStep[] = [];
  const add = (name: string, change: Partial<SharingHost>) =>
    steps.push({ name, host: { ...host, ...change } });
  if (host.asking) add("the guest is told that there is no answer", { asking: false });
  if (lock === "none" && daemon === "live" && listed && !host.asking && unknown === 0) {
    for (const shares of [false, true]) {
      const attempt = unused(attempts(host));
      const asking = { ...host, asking: true, lock: "acquiring", attempt, shared: shares } as const;
      const message = { op: "acquire", epoch, attempt, shared: shares } as const;
      steps.push({ name: `a guest asks ${shares ? "to share" : "alone"}`, host: sent(asking, message) });
    }
  }
  const joins = lock === "held" && (!found || without.has("share-closed"));
  const returns = lock === "due" && without.has("share-anew");
  if (shared && (joins || returns) && known + unknown < MOST_GUESTS) {
    add("another guest shares it too", { lock: "held", known: known + 1, found: false });
  }
  // Which of two it is makes a difference: the record names the first one.
  const ends = (name: string, change: Partial<SharingHost>) => {
    if (first) add(`the first guest ends${name}`, { ...change, first: false });
    if (!first || known + unknown > 1) add(`a guest ends that is not the first${name}`, change);
  };
  if (known > 0) {
    const over = known === 1 || without.has("share-last");
    ends("", { known: known - 1, ...over && lock === "held" && !found ? { lock: "due" } : {} });
  }
  if (unknown > 0) ends(", of which the daemon knows nothing", { unknown: unknown - 1 });
  return steps;
}

function ofDaemon(host: SharingHost, without: Without<Rule>): SharingStep[] {
  const { daemon, lock, attempt, shared, epoch, session, first } = host;
  if (host.messages.some(({ awaited }) => awaited)) return [];
  if (daemon === "unsure") {
    const bump = { op: "bump", epoch: session, attempt: 0, shared: false } as const;
    return [{ name: "it writes its session anew", host: sent(host, bump) }];
  }
  if (!host.listed) return [{ name: "it looks what is there", host: looked(host) }];
  const steps: SharingStep[] = [{ name: "it doubts", host: { ...host, ...UNSURE } }];
  const add = (name: string, change: Partial<SharingHost>) =>
    steps.push({ name, host: { ...host, ...change } });
  const there = (shared ? host.share : host.alone) === attempt;
  switch (lock) {
    case "none":
    case "acquiring":
      break;
    case "unknown": {
      const after = there ? taken(host) : { ...host, ...NO_LOCK, asking: false };
      steps.push({ name: `it looks up the lock, which is ${there ? "" : "not "}there`, host: after });
      break;
    }
    case "due": {
      const release = { op: "release", epoch, attempt, shared } as const;
      steps.push({ name: "it gives the lock back", host: sent(host, release) });
      break;
    }
    case "held":
      if (!host.found) break;
      if (!there) add("it notices that the share was freed", NO_LOCK);
      if (!first && (!host.open || without.has("share-stays"))) {
        add("it notices that the guest has ended that the record names", { lock: "due" });
      }
  }
  return steps;
}

/** A daemon that has been started sees what etcd has of its host. */
function looked(host: SharingHost): SharingHost {
  const known = { ...host, listed: true };
  const there = host.alone === 0 ? host.share : host.alone;
  if (host.lock !== "none") return there === host.attempt ? known : { ...known, ...NO_LOCK };
  if (there === 0) return known;
  const shared = host.alone === 0;
  return {
    ...known,
    lock: "held",
    attempt: there,
    found: true,
    shared,
    open: shared && there <= host.strange,
  };
}

/** A share of which nobody knows who has it is freed by a person's word. */
function ofPerson(host: SharingHost, without: Without<Rule>): SharingStep[] {
  const { lock, open, known, unknown, share } = host;
  const used = known + unknown > 0 && !without.has("freed-unused");
  if (lock !== "held" || !open || used || share === 0) return [];
  return [{ name: "a person frees the share", host: { ...host, share: 0 } }];
}

/** The daemon is killed, and starts: with what is in its journal, or without. */
function ofKills(host: SharingHost, without: Without<Rule>): SharingStep[] {
  const messages = host.messages.map((message) => ({ ...message, awaited: false }));
  if (messages.length > MOST_LATE) return [];
  const started = { ...host, ...UNSURE, asking: false, listed: false, messages };
  const granted = (host.lock === "held" || host.lock === "due") && !host.found;
  const unknown = host.known + host.unknown;
  const strange = without.has("share-strange") ? host.strange : Math.max(...attempts(host));
  return [
    { name: "the daemon is killed, and starts", host: { ...started, ...granted ? {} : NO_LOCK } },
    {
      name: "the daemon is killed with all that it knew",
      host: { ...started, ...NO_LOCK, known: 0, unknown, strange },
    },
  ];
}

function meaning(
  { alone, share, shared, known, unknown, daemon, listed, lock, asking }: SharingHost,
): DiskUse {
  const guests = known + unknown;
  const idle = daemon === "live" && listed && lock === "none" && guests === 0 && !asking;
  return {
    alone: alone !== 0,
    share: share !== 0,
    guests: guests === 0 ? "nothing" : shared ? "read" : "write",
    left: idle && (alone !== 0 || share !== 0),
  };
}

/** Hosts of which each has several guests that share one disk. @param without rules that are left out */
export function shares(without: Without<Rule>): HostModel<SharingHost, DiskUse, never> {
  return {
    first: NEW_HOST,
    effects: [],
    contexts: DISK_CONTEXTS,
    normal,
    steps: (host, context) => steps(host, inContext(context), without),
    meaning,
    context: contextOf,
    touched: (host) => host,
    wrong: wrongUse,
  };
}
