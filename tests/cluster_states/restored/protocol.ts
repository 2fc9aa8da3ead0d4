import type { HostModel, Step, Without } from "../host_model.ts";
import { unused } from "../numbers.ts";
import { attempts, epochs, type Message, NEW_HOST, normal, type RestoredHost } from "./restored_host.ts";

/** Rules of the protocol that can be left out, to see that it is noticed. */
export const RULES = {
  "meta": "a change compares that the cluster was not closed or opened since",
  "closed": "nothing new is locked in a cluster that is closed",
  "open-all": "it opens when all hosts have put in what they have",
  "put": "a host puts in what it has",
  "give-back": "it gives back first what etcd has of it and it has no more",
  "wait": "it waits for the holder of a lock that it cannot put in",
  "try-again": "it tries once more when that has come",
  "recover-bump": "after an unknown outcome the session is written anew, also while the cluster is closed",
} as const;

type Rule = keyof typeof RULES;

/** What happens to all hosts: etcd is saved or restored, or the cluster opened. */
type Effect = "saves" | "restores" | "opens";

type RestoredStep = Step<RestoredHost, Effect>;

/** What other hosts have. */
interface Others {
  readonly has: boolean;
  /** Whether all have come at least as far as that nothing of them goes from etcd any more, or are done. */
  readonly listed: boolean;
  readonly settled: boolean;
}

interface Meaning {
  readonly alone: boolean;
  readonly entry: RestoredHost["entry"];
  readonly runs: boolean;
  readonly doubtful: boolean;
  readonly left: boolean;
}

/** So many messages of a host may be on their way with nobody waiting for them. */
const MOST_LATE = 1;
const UNSURE = { daemon: "unsure", epoch: 0 } as const;
const NO_LOCK = { lock: "none", attempt: 0 } as const;

/**
 * Everything that may happen to one host. Between a restore and the moment when somebody has closed the
 * cluster nothing is promised, so that is one step, which any host may take. What was on its way to the etcd
 * that was there is lost.
 */
class Protocol {
  readonly #without: Without<Rule>;

  constructor(without: Without<Rule>) {
    this.#without = without;
  }

  steps(host: RestoredHost, others: Others): RestoredStep[] {
    const found = [
      ...this.#ofMessages(host, others),
      ...this.#ofGuest(host),
      ...this.#ofDaemon(host, others),
      ...ofKills(host),
      ...ofEtcd(host),
    ];
    return found.map((step) => ({ ...step, host: this.#withoutVain(step.host) }));
  }

  #withoutVain(host: RestoredHost): RestoredHost {
    const messages = host.messages.filter(({ awaited, epoch, stale }) =>
      awaited || (epoch === host.session && (!stale || this.#without.has("meta")))
    );
    return { ...host, messages };
  }

  #ofMessages(host: RestoredHost, others: Others): RestoredStep[] {
    const late = host.messages.filter(({ awaited }) => !awaited).length;
    return host.messages.flatMap((message, index) => {
      const rest = { ...host, messages: host.messages.filter((_, other) => other !== index) };
      const { op, awaited } = message;
      const { after, outcome } = this.#applied(rest, message, others);
      if (!awaited) return [{ name: `etcd does a late ${op}: ${outcome}`, host: after }];
      const found: RestoredStep[] = [
        { name: `${op}: ${outcome}`, host: this.#answered(after, message, outcome) },
        { name: `${op}: ${outcome}, which nobody is told`, host: this.#doubting(after, message) },
      ];
      if (late < MOST_LATE) {
        const left = { ...rest, messages: [...rest.messages, { ...message, awaited: false }] };
        found.push({ name: `${op} takes too long`, host: this.#doubting(left, message) });
      }
      return found;
    });
  }

  #applied(host: RestoredHost, { op, epoch, stale, attempt }: Message, others: Others): Applied {
    const moved = epoch !== host.session || (stale && !this.#without.has("meta"));
    if (moved) return { after: host, outcome: "moved" };
    switch (op) {
      case "bump":
        return { after: { ...host, session: unused(epochs(host)) }, outcome: "done" };
      case "acquire":
        if (host.alone !== 0 || others.has) return { after: host, outcome: "refused" };
        return { after: { ...host, alone: attempt }, outcome: "done" };
      case "release":
        if (host.alone !== attempt) return { after: host, outcome: "refused" };
        return { after: { ...host, alone: 0 }, outcome: "done" };
    }
  }

  #answered(host: RestoredHost, { op }: Message, outcome: Outcome): RestoredHost {
    if (op === "bump") {
      if (outcome !== "done") return host;
      // In a cluster that is closed it goes through what it has until it has settled.
      const listed = host.listed && (host.open || host.entry === "settled");
      const { session: epoch, open: serves } = host;
      return { ...host, daemon: "live", epoch, stale: false, serves, listed, conflict: "none" };
    }
    const known: RestoredHost = outcome === "moved" ? { ...host, ...UNSURE } : host;
    if (op === "release") return outcome === "moved" ? known : { ...host, ...NO_LOCK };
    // What a running guest has was put in, or could not be.
    if (host.lock === "held") {
      const conflict = outcome === "refused" ? host.sawOthers ? "tried-again" : "tried" : "none";
      return { ...known, conflict };
    }
    return outcome === "done" ? taken(host) : { ...withoutAsker(known), ...NO_LOCK };
  }

  #doubting(host: RestoredHost, { op }: Message): RestoredHost {
    const doubt = this.#without.has("recover-bump") && op !== "bump" && !host.open
      ? { ...host, listed: false }
      : { ...host, ...UNSURE };
    return op === "acquire" && host.lock === "acquiring" ? { ...doubt, lock: "unknown" } : doubt;
  }

  #ofGuest(host: RestoredHost): RestoredStep[] {
    const { guest, lock, daemon, listed, serves } = host;
    switch (guest) {
      case "none": {
        const may = serves || this.#without.has("closed");
        if (lock !== "none" || daemon !== "live" || !listed || !may) return [];
        const attempt = unused(attempts(host));
        const asking = { ...host, guest: "asking", lock: "acquiring", attempt } as const;
        return [{ name: "a guest asks", host: sent(asking, "acquire") }];
      }
      case "asking":
        return [{ name: "the guest is told that there is no answer", host: { ...host, guest: "none" } }];
      case "running": {
        const over = lock === "held" ? { lock: "due", conflict: "none" } as const : {};
        return [{ name: "the guest ends", host: { ...host, guest: "none", doubtful: false, ...over } }];
      }
    }
  }

  #ofDaemon(host: RestoredHost, others: Others): RestoredStep[] {
    const { daemon, lock, attempt, alone } = host;
    if (host.messages.some(({ awaited }) => awaited)) return [];
    if (daemon === "unsure") {
      return [{
        name: "it writes its session anew",
        host: sent({ ...host, epoch: host.session, stale: false }, "bump"),
      }];
    }
    if (!host.listed) return [{ name: "it looks what is there", host: this.#looked(host) }];
    const steps: RestoredStep[] = [{ name: "it doubts", host: { ...host, ...UNSURE } }];
    if (lock === "unknown") {
      const there = alone !== 0 && alone === attempt;
      const after = there ? taken(host) : { ...withoutAsker(host), ...NO_LOCK };
      steps.push({ name: `it looks up the lock, which is ${there ? "" : "not "}there`, host: after });
    }
    if (lock === "due") steps.push({ name: "it gives the lock back", host: sent(host, "release") });
    return [...steps, ...this.#ofEntrance(host, others)];
  }

  /** The way into a cluster that is closed. */
  #ofEntrance(host: RestoredHost, others: Others): RestoredStep[] {
    const { serves, stale, lock, guest, alone, attempt, conflict, entry } = host;
    if (serves || stale) return [];
    const steps: RestoredStep[] = [];
    const has = guest === "running" && lock === "held";
    const missing = has && alone !== attempt;
    if (missing && conflict === "none" && !host.doubtful && !this.#without.has("put")) {
      steps.push({ name: "it puts in what it has", host: sent(host, "acquire") });
    }
    // A release that is under way is of a guest that has ended since: what etcd had before is looked at.
    const givesBack = lock === "due" && alone !== 0;
    if (givesBack && !this.#without.has("give-back")) return steps;
    if (
      entry !== "settled" && (!missing || conflict !== "none" || host.doubtful || this.#without.has("put"))
    ) {
      const again = conflict === "tried" && !this.#without.has("try-again");
      const waits = missing && !host.doubtful && !this.#without.has("wait") && (!others.listed || again);
      const doubtful = host.doubtful || (missing && !waits && !this.#without.has("put"));
      const came = { ...host, sawOthers: others.listed };
      steps.push({
        name: waits ? "it says that it has looked" : "it says that it has put in what it has",
        host: waits
          ? { ...came, ...UNSURE, entry: "listed" }
          : { ...came, doubtful, conflict: "none", entry: "settled" },
      });
    }
    if (entry === "settled" && (others.settled || this.#without.has("open-all"))) {
      steps.push({ name: "it opens the cluster", host: opened(host), others: ["opens"] });
    }
    return steps;
  }

  #looked(host: RestoredHost): RestoredHost {
    const known = { ...host, listed: true };
    const { lock, alone, attempt, guest } = host;
    switch (lock) {
      case "none":
      case "acquiring":
      case "unknown":
        // Of a guest that is gone.
        return alone === 0 || (lock === "unknown" && alone === attempt)
          ? known
          : { ...withoutAsker(known), lock: "due", attempt: alone };
      case "held":
        // An earlier record of the same host's is as good.
        return alone === 0 || guest !== "running" ? known : { ...known, attempt: alone };
      case "due":
        return alone === 0 ? { ...known, ...NO_LOCK } : { ...known, attempt: alone };
    }
  }
}

type Outcome = "done" | "refused" | "moved";

interface Applied {
  readonly after: RestoredHost;
  readonly outcome: Outcome;
}

function taken(host: RestoredHost): RestoredHost {
  if (host.guest === "asking") return { ...host, guest: "running", lock: "held" };
  return { ...host, lock: "due" };
}

function withoutAsker(host: RestoredHost): RestoredHost {
  return host.guest === "asking" ? { ...host, guest: "none" } : host;
}

function ofKills(host: RestoredHost): RestoredStep[] {
  const messages = host.messages.map((message) => ({ ...message, awaited: false }));
  if (messages.length > MOST_LATE) return [];
  const granted = host.lock === "held" || host.lock === "due";
  const started = { ...withoutAsker(host), ...UNSURE, listed: false, sawOthers: false, messages } as const;
  const { entry } = host;
  return [{
    name: "the daemon is killed, and starts",
    host: { ...started, conflict: "none", entry, ...granted ? {} : NO_LOCK },
  }];
}

/** What happens to etcd. */
function ofEtcd(host: RestoredHost): RestoredStep[] {
  return [
    { name: "etcd is saved", host: saved(host), others: ["saves"] },
    ...host.saved === undefined
      ? []
      : [{ name: "etcd is restored, and it notices", host: restored(host), others: ["restores"] } as const],
  ];
}

function saved(host: RestoredHost): RestoredHost {
  return { ...host, saved: { session: host.session, alone: host.alone } };
}

function restored(host: RestoredHost): RestoredHost {
  const { session, alone } = host.saved ?? host;
  const unknown = host.lock === "acquiring" ? { lock: "unknown" } as const : {};
  // An answer does not come any more.
  const waits = host.messages.some(({ awaited }) => awaited);
  const doubt = waits ? UNSURE : {};
  const etcd = { session, alone, open: false, entry: "none", stale: true, messages: [] } as const;
  return { ...host, ...etcd, ...unknown, ...doubt, conflict: "none", sawOthers: false };
}

function opened(host: RestoredHost): RestoredHost {
  const messages = host.messages.map((message) => ({ ...message, stale: true }));
  return { ...host, open: true, stale: true, entry: "none", messages };
}

function sent(host: RestoredHost, op: Message["op"]): RestoredHost {
  const { epoch, stale, attempt } = host;
  const message = { op, epoch, stale, attempt: op === "bump" ? 0 : attempt, awaited: true };
  return { ...host, messages: [...host.messages, message] };
}

function meaning(host: RestoredHost): Meaning {
  const { alone, entry, guest, doubtful, daemon, listed, lock, stale, serves, messages } = host;
  const quiet = daemon === "live" && listed && !messages.some(({ awaited }) => awaited);
  // What it has not looked at yet since etcd was restored is not left.
  const looked = !stale && (serves || entry === "settled");
  return {
    alone: alone !== 0,
    entry,
    runs: guest === "running",
    doubtful,
    left: quiet && looked && guest === "none" && lock === "none" && alone !== 0,
  };
}

function wrong(all: readonly Meaning[]): string | undefined {
  if (all.filter(({ runs }) => runs).length > 1) return "two guests write to one disk";
  if (all.some(({ doubtful }) => doubtful)) return "a guest's own lock is not granted";
  const left = all.findIndex((each) => each.left);
  return left < 0 ? undefined : `something is left in etcd of host ${left + 1}`;
}

/** Hosts whose etcd is saved and restored at any time. @param without rules that are left out */
export function restores(without: Without<Rule>): HostModel<RestoredHost, Meaning, Effect> {
  const protocol = new Protocol(without);
  return {
    first: NEW_HOST,
    effects: ["saves", "restores", "opens"],
    contexts: 8,
    normal,
    steps: (host, context) =>
      protocol.steps(host, {
        has: (context & 1) !== 0,
        listed: (context & 2) !== 0,
        settled: (context & 4) !== 0,
      }),
    meaning,
    context: (others) =>
      (others.some(({ alone }) => alone) ? 1 : 0) +
      (others.every(({ entry }) => entry !== "none") ? 2 : 0) +
      (others.every(({ entry }) => entry === "settled") ? 4 : 0),
    touched: (host, effect) => {
      switch (effect) {
        case "saves":
          return saved(host);
        case "restores":
          return restored(host);
        case "opens":
          return opened(host);
      }
    },
    wrong,
  };
}
