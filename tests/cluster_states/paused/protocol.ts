import type { HostModel, Step, Without } from "../host_model.ts";
import { unused } from "../numbers.ts";
import { epochs, type Message, NEW_HOST, normal, type PausingHost } from "./pausing_host.ts";
import type { Rule } from "./rules.ts";
import {
  asks,
  awaits,
  cleanAgain,
  ended,
  found,
  grantedAgain,
  isOver,
  NO_LOCK,
  refused,
  released,
  running,
  sent,
  taken,
  usedMark,
  withoutAsker,
  withoutPaused,
  withOwnGuest,
} from "./transitions.ts";

/**
 * What a host does to the others: it says in their marks that it has the lock, or takes that back, or its
 * guest writes, and those that are paused remember something else.
 */
type Effect = "tells" | "untells" | "runs";

type PausingStep = Step<PausingHost, Effect>;

interface Meaning {
  readonly alone: boolean;
  readonly runs: boolean;
  readonly left: boolean;
  readonly wrong: PausingHost["wrong"];
}

/** So many messages of a host may be on their way with nobody waiting for them. */
const MOST_LATE = 1;
const UNSURE = { daemon: "unsure", epoch: 0 } as const;

/**
 * Everything that may happen to a host whose guests are paused, resumed, moved, and not moved after all.
 * Whether somebody asks for a lock that is kept for a paused guest is not looked at: it may be given up at
 * any time.
 */
class Protocol {
  readonly #without: Without<Rule>;
  readonly #kills: Kills;

  constructor(without: Without<Rule>, kills: Kills) {
    this.#without = without;
    this.#kills = kills;
  }

  steps(host: PausingHost, otherHas: boolean): PausingStep[] {
    const found = [
      ...this.#ofMessages(host, otherHas),
      ...this.#ofGuest(host),
      ...this.#ofLeftGuest(host),
      ...this.#ofDaemon(host),
      ...ofKills(host, this.#kills, this.#without),
    ];
    return found.map((step) => ({ ...step, host: this.#written(step.host) }));
  }

  /** Without what nobody waits for and etcd can only refuse, and what the daemon does not keep in mind. */
  #written(host: PausingHost): PausingHost {
    const messages = host.messages.filter(({ epoch, awaited }) => awaited || epoch === host.session);
    return { ...host, messages, minds: host.minds && !this.#without.has("unmark") };
  }

  #ofMessages(host: PausingHost, otherHas: boolean): PausingStep[] {
    const late = host.messages.filter(({ awaited }) => !awaited).length;
    return host.messages.flatMap((message, index) => {
      const rest = { ...host, messages: host.messages.filter((_, other) => other !== index) };
      const { op, awaited } = message;
      const found: PausingStep[] = this.#applied(rest, message, otherHas).flatMap((
        { after, outcome, others = [] },
      ) =>
        awaited
          ? [
            { name: `${op}: ${outcome}`, host: this.#answered(after, message, outcome), others },
            { name: `${op}: ${outcome}, which nobody is told`, host: this.#doubting(after, message), others },
          ]
          : [{ name: `etcd does a late ${op}: ${outcome}`, host: after, others }]
      );
      if (awaited && late < MOST_LATE) {
        const left = { ...rest, messages: [...rest.messages, { ...message, awaited: false }] };
        found.push({ name: `${op} takes too long`, host: this.#doubting(left, message) });
      }
      return found;
    });
  }

  #applied(host: PausingHost, message: Message, otherHas: boolean): Applied[] {
    const { op, epoch, attempt, paused, takesBack } = message;
    if (epoch !== host.session) return [{ after: host, outcome: "moved" }];
    const done = (change: Partial<PausingHost>, ...others: Effect[]): Applied => ({
      after: { ...host, ...change },
      outcome: "done",
      others,
    });
    switch (op) {
      case "bump":
        return [done({ session: unused(epochs(host)) })];
      case "acquire": {
        if (otherHas || host.alone !== 0) return [{ after: host, outcome: "refused" }];
        const used = host.mark === "used" || host.mark === "used-now";
        if (paused && used && !this.#without.has("mark-heeded")) return [{ after: host, outcome: "used" }];
        const told = { alone: attempt, told: true };
        const mark = paused ? "none" : this.#without.has("mark-told-here") ? host.mark : usedMark(host.mark);
        const others: Effect[] = this.#without.has("mark-told") ? [] : ["tells"];
        // Marks that were put there since it has looked are left as they are.
        const unseen = this.#without.has("marks-seen") ? [done(told)] : [];
        return [done({ ...told, mark }, ...others), ...unseen];
      }
      case "replace":
        return host.alone === 0 ? [{ after: host, outcome: "refused" }] : [done({ alone: attempt })];
      case "release": {
        if (host.alone === attempt) {
          const puts = paused && !this.#without.has("mark") && !this.#without.has("mark-at-once");
          const marked = puts
            ? { mark: "clean", over: isOver(host) } as const
            : takesBack
            ? { mark: cleanAgain(host.mark) }
            : {};
          return [takesBack ? done({ alone: 0, ...marked }, "untells") : done({ alone: 0, ...marked })];
        }
        const unmarked = paused && host.mark === "none" && !this.#without.has("mark");
        return [{ after: host, outcome: unmarked ? "unmarked" : "refused" }];
      }
      case "unuse": {
        if (host.alone !== attempt) return [{ after: host, outcome: "refused" }];
        return [done({ mark: cleanAgain(host.mark) }, "untells")];
      }
      case "put-mark":
        // Where that is right nobody can have had the lock meanwhile.
        return [done({ mark: this.#without.has("mark-at-once") ? "clean" : "used", over: isOver(host) })];
      case "unmark":
        return [done({ mark: "none" })];
    }
  }

  #answered(host: PausingHost, { op, paused }: Message, outcome: Outcome): PausingHost {
    if (op === "bump") return outcome === "done" ? { ...host, daemon: "live", epoch: host.session } : host;
    const known: PausingHost = outcome === "moved" ? { ...host, ...UNSURE } : host;
    switch (op) {
      case "acquire": {
        if (outcome === "done") return taken(host, this.#without);
        const may = outcome === "used" && host.guest === "returning" && !host.stale && this.#kills !== "any";
        return { ...withoutAsker(known), ...NO_LOCK, told: false, ...may ? { wrong: REFUSED } : {} };
      }
      case "replace":
        if (outcome === "done") return taken(host, this.#without);
        return host.alone === 0 ? withoutPaused({ ...known, ...NO_LOCK }) : found(known);
      case "release":
        if (outcome === "moved") return known;
        if (outcome === "unmarked" || (paused && this.#without.has("mark-at-once"))) {
          return sent(host, { op: "put-mark", epoch: host.epoch, attempt: 0, paused, takesBack: false });
        }
        return released(host, paused);
      case "unuse":
        return outcome === "moved" ? known : { ...host, told: false };
      case "put-mark":
        return outcome === "moved" ? known : released(host, true);
      case "unmark":
        return outcome === "moved" ? known : { ...host, minds: false };
    }
  }

  /** No answer has come. */
  #doubting(host: PausingHost, { op }: Message): PausingHost {
    const doubt = { ...host, ...UNSURE };
    return op === "acquire" || op === "replace" ? { ...doubt, lock: "unknown" } : doubt;
  }

  #ofGuest(host: PausingHost): PausingStep[] {
    const { guest, lock, daemon, listed } = host;
    const serves = daemon === "live" && listed;
    switch (guest) {
      case "none":
        if (!serves) return [];
        if (lock === "none") {
          return [{ name: "a guest asks", host: asks(host, "asking", "acquire", this.#without) }];
        }
        // It was refused, or got no answer, and others of its host are refused what it may have.
        return lock === "held" && host.found && awaits(host) === undefined &&
            host.ungranted.includes(host.alone)
          ? [{
            name: "a guest asks once more for what etcd has for it",
            host: asks(host, "asking", "replace", this.#without),
          }]
          : [];
      case "asking":
        return [{ name: "the guest is told that there is no answer", host: { ...host, guest: "none" } }];
      case "returning":
        return [{ name: "the paused guest is told that there is no answer", host: withoutAsker(host) }];
      case "granted":
        return [
          { name: "the guest runs", host: running(host), others: ["runs"] },
          { name: "the guest is refused another lock", host: refused(host, this.#without) },
        ];
      case "refused": {
        const again = {
          name: "the guest is granted its lock again",
          host: grantedAgain(host, this.#without),
        };
        const end = { name: "the guest ends, and has not run", host: ended(host) };
        // Which try it was is known when it was looked what is there.
        return listed || host.ungranted.length === 0 ? [again, end] : [end];
      }
      case "running": {
        const paused = { ...host, guest: "paused", stale: false } as const;
        return [
          { name: "the guest is paused", host: paused },
          { name: "the guest ends", host: ended(host) },
        ];
      }
      case "paused": {
        const steps: PausingStep[] = [{ name: "the paused guest ends", host: ended(host) }];
        const backIn = lock === "leaving" && this.#without.has("leaving-final");
        if ((lock === "held" && !host.found) || backIn) {
          const held = { ...host, lock: "held", told: false } as const;
          steps.push({
            name: "the guest is resumed with what it has",
            host: running(held),
            others: ["runs"],
          });
        }
        // There is room for one guest that is left behind.
        if (lock === "held" && !host.found && !host.left && host.mark === "none") {
          steps.push({ name: "somebody asks for its lock", host: { ...host, lock: "leaving" } });
        }
        if (lock === "held" && host.found && serves && awaits(host) === undefined) {
          steps.push({
            name: "the guest asks for what etcd has for it",
            host: asks(host, "returning", "replace", this.#without),
          });
        }
        return steps;
      }
    }
  }

  #ofLeftGuest(host: PausingHost): PausingStep[] {
    if (!host.left) return [];
    const steps: PausingStep[] = [
      { name: "the guest that was left behind ends", host: { ...host, left: false, over: true } },
    ];
    const serves = host.daemon === "live" && host.listed && awaits(host) === undefined;
    if (host.guest === "none" && host.lock === "none" && serves) {
      const returning = { ...host, stale: host.leftStale, left: false };
      const back = asks(returning, "returning", "acquire", this.#without);
      steps.push({ name: "the guest that was left behind asks again", host: back });
    }
    return steps;
  }

  #ofDaemon(host: PausingHost): PausingStep[] {
    const { daemon, lock, guest, attempt, epoch, session, alone } = host;
    if (awaits(host) !== undefined) return [];
    const send = (name: string, op: Message["op"], at = epoch, paused = false, takesBack = false) => [
      { name, host: sent(host, { op, epoch: at, attempt: op === "bump" ? 0 : attempt, paused, takesBack }) },
    ];
    if (daemon === "unsure") return send("it writes its session anew", "bump", session);
    if (!host.listed) return [{ name: "it looks what is there", host: this.#looked(host) }];
    const steps: PausingStep[] = [{ name: "it doubts", host: { ...host, ...UNSURE } }];
    if (lock === "unknown") {
      const there = alone !== 0 && alone === attempt;
      const after = there
        ? taken(host, this.#without)
        : alone === 0
        ? withoutPaused({ ...host, ...NO_LOCK, ...host.guest === "asking" ? { guest: "none" } : {} })
        : found(host);
      steps.push({ name: `it looks up the lock, which is ${there ? "" : "not "}there`, host: after });
    }
    if (lock === "due" || lock === "leaving") {
      const ungranted = host.ungranted.includes(attempt);
      const atOnce = ungranted && !this.#without.has("unused-at-once");
      // It says so no more once that has been taken back; of what an earlier daemon has tried nobody knows.
      if (ungranted && !atOnce && (host.told || host.found)) {
        steps.push(...send("it takes back what marks say", "unuse"));
      } else steps.push(...send("it gives the lock back", "release", epoch, lock === "leaving", atOnce));
    }
    if (lock === "held" && host.found && guest === "none") {
      steps.push({ name: "it notices that its guest has ended", host: { ...host, lock: "due" } });
    }
    if (host.minds && host.over) {
      steps.push(...send("it takes the mark away", "unmark"));
    }
    return steps;
  }

  /** A daemon that has been started sees what etcd has of its host. */
  #looked(host: PausingHost): PausingHost {
    const minds = host.mark !== "none" && !this.#without.has("start-marks");
    const known = { ...host, listed: true, minds };
    const there = host.alone !== 0 && host.alone === host.attempt;
    switch (host.lock) {
      case "none":
      case "acquiring":
      case "unknown":
        return host.alone === 0 ? withoutPaused({ ...known, ...NO_LOCK }) : found(known);
      case "held":
        if (there || host.guest !== "paused") return known;
        // Somebody has taken it away: nobody knows who had it.
        return withoutPaused({ ...known, ...NO_LOCK, mark: "used", minds: true });
      case "due":
      case "leaving":
        return there ? known : withoutPaused({ ...known, ...NO_LOCK });
    }
  }
}

type Outcome = "done" | "refused" | "moved" | "used" | "unmarked";

interface Applied {
  readonly after: PausingHost;
  readonly outcome: Outcome;
  readonly others?: readonly Effect[];
}

const REFUSED = "a guest does not go on, and may";

/** When daemons are killed. */
type Kills = "none" | "any" | "never what was granted and has not run";

/** The daemon is killed, and starts: with what is in its journal, or without. */
function ofKills(host: PausingHost, kills: Kills, without: Without<Rule>): PausingStep[] {
  if (kills === "none") return [];
  const messages = host.messages.map((message) => ({ ...message, awaited: false }));
  if (messages.length > MOST_LATE) return [];
  const { lock } = host;
  const own = withOwnGuest(host);
  const guest = own.guest === "asking" ? "none" : own.guest === "returning" ? "paused" : own.guest;
  const started = {
    ...own,
    ...UNSURE,
    guest,
    listed: false,
    messages,
    told: false,
    minds: false,
    found: false,
  };
  // What was never granted is not in the journal.
  const granted = (lock === "held" || lock === "due" || lock === "leaving") && !host.found && own === host;
  const forgets = lock === "leaving" && guest === "paused" && without.has("leaving-first");
  const whole = granted ? { lock: forgets ? "held" : lock } as const : NO_LOCK;
  const next = { name: "the daemon is killed, and starts", host: { ...started, ...whole } };
  if (kills !== "any") {
    // What a guest was granted that has not run is told of by nobody.
    if (host.guest === "granted" || (host.told && !host.ungranted.includes(host.attempt))) return [];
    return [without.has("ungranted-kept") ? { ...next, host: { ...next.host, ungranted: [] } } : next];
  }
  // What a journal that is behind says of the lock that is there.
  const ungranted = without.has("granted-lost") ? [host.alone] : [];
  return [
    next,
    { name: "the daemon is killed with all that it knew", host: { ...started, ...NO_LOCK, ungranted } },
  ];
}

function meaning(host: PausingHost): Meaning {
  const { alone, guest, daemon, listed, lock, left, minds, mark } = host;
  const quiet = daemon === "live" && listed && awaits(host) === undefined;
  const idle = quiet && guest === "none" && lock === "none" && !left && !minds;
  return {
    alone: alone !== 0,
    runs: guest === "running",
    left: idle && (alone !== 0 || mark !== "none"),
    wrong: host.wrong,
  };
}

function wrong(all: readonly Meaning[]): string | undefined {
  if (all.filter(({ runs }) => runs).length > 1) return "two guests write to one disk";
  const bad = all.find((each) => each.wrong !== "");
  if (bad !== undefined) return bad.wrong;
  const left = all.findIndex((each) => each.left);
  return left < 0 ? undefined : `something is left in etcd of host ${left + 1}`;
}

/**
 * Hosts whose guests are paused.
 *
 * @param kills when daemons are killed. Where one is that has granted a lock, a mark may say of a guest that
 *   it has the lock which never ran, and a guest is refused that may go on: that is looked at where none is
 */
export function pauses(
  without: Without<Rule>,
  kills: Kills,
): HostModel<PausingHost, Meaning, Effect> {
  const protocol = new Protocol(without, kills);
  return {
    first: NEW_HOST,
    effects: ["tells", "untells", "runs"],
    contexts: 2,
    normal,
    steps: (host, context) => protocol.steps(host, context === 1),
    meaning,
    context: (others) => others.some(({ alone }) => alone) ? 1 : 0,
    touched: (host, effect) => {
      switch (effect) {
        case "tells":
          return { ...host, mark: usedMark(host.mark) };
        case "untells":
          return { ...host, mark: cleanAgain(host.mark) };
        case "runs":
          return { ...host, stale: true, leftStale: true };
      }
    },
    wrong,
  };
}
