import type { Without } from "../host_model.ts";
import { unused } from "../numbers.ts";
import { attempts, type Message, type PausingHost } from "./pausing_host.ts";
import type { Rule } from "./rules.ts";

/** The daemon has no lock, and asks for none. */
export const NO_LOCK = { lock: "none", attempt: 0 } as const;
const RESUMED = "a guest goes on over what another one has written";

export function usedMark(mark: PausingHost["mark"]): PausingHost["mark"] {
  switch (mark) {
    case "none":
      return "none";
    case "clean":
      return "used-now";
    case "used-now":
    case "used":
      return "used";
  }
}

export function cleanAgain(mark: PausingHost["mark"]): PausingHost["mark"] {
  return mark === "used-now" ? "clean" : mark;
}

/** Whether nobody is there any more of whom a mark would be that is put now. */
export function isOver({ guest, left }: PausingHost): boolean {
  return guest !== "paused" && !left;
}

/** etcd has the lock. If its guest has given up meanwhile, it is given back. */
export function taken(host: PausingHost, without: Without<Rule>): PausingHost {
  if (host.guest === "asking" || host.guest === "returning") {
    const ungranted = without.has("granted-ends") ? host.ungranted : [];
    return { ...host, guest: "granted", lock: "held", found: false, ungranted };
  }
  if (host.tried === "again" && !without.has("again-kept")) return found(host);
  return {
    ...host,
    lock: host.tried === "return" && !without.has("mark-again") ? "leaving" : "due",
    found: false,
  };
}

/** etcd has a lock of which the daemon knows no more. */
export function found(host: PausingHost): PausingHost {
  const guest = host.guest === "returning" ? "paused" : host.guest;
  return { ...host, guest, lock: "held", attempt: host.alone, found: true, told: false };
}

export function released(host: PausingHost, paused: boolean): PausingHost {
  const ungranted = host.ungranted.filter((each) => each !== host.attempt);
  const known = { ...host, ungranted, minds: host.minds || paused };
  // Its guest has taken it back meanwhile, which it must not.
  return host.lock === "held" ? known : withoutPaused({ ...known, ...NO_LOCK });
}

/** A guest that is paused has no lock any more: it is left behind. */
export function withoutPaused(host: PausingHost): PausingHost {
  if (host.guest !== "paused" && host.guest !== "returning") return host;
  return { ...host, guest: "none", left: true, leftStale: host.stale };
}

/** Whoever asks waits no more. */
export function withoutAsker(host: PausingHost): PausingHost {
  if (host.guest === "asking") return { ...host, guest: "none" };
  return host.tried === "again" && host.guest === "returning"
    ? { ...host, guest: "paused" }
    : withoutPaused(host);
}

export function running(host: PausingHost): PausingHost {
  return {
    ...host,
    guest: "running",
    told: false,
    leftStale: true,
    wrong: host.stale ? RESUMED : host.wrong,
  };
}

export function ended(host: PausingHost): PausingHost {
  const { lock, found } = host;
  return { ...host, guest: "none", lock: lock === "held" && !found ? "due" : lock, over: !host.left };
}

/** A guest that was granted its lock is refused another one: it has not run, and may not be told to. */
export function refused(host: PausingHost, without: Without<Rule>): PausingHost {
  const told = host.told && !without.has("unused");
  return { ...host, guest: "refused", ungranted: told ? [...host.ungranted, host.attempt] : host.ungranted };
}

/** A guest that was refused another lock has all of them now, this one by its daemon's word alone. */
export function grantedAgain(host: PausingHost, without: Without<Rule>): PausingHost {
  const ungranted = without.has("granted-again") ? host.ungranted : [];
  return { ...host, guest: "granted", told: host.ungranted.includes(host.attempt), ungranted };
}

export function asks(
  host: PausingHost,
  guest: "asking" | "returning",
  op: "acquire" | "replace",
  without: Without<Rule>,
): PausingHost {
  const attempt = unused(attempts(host));
  const tried = guest === "asking" ? "first" : op === "acquire" ? "return" : "again";
  // What takes the place of another one has told nobody anything itself.
  const heir = host.ungranted.includes(host.alone) || without.has("granted-heirs");
  const ungranted = op === "acquire" || heir ? [...host.ungranted, attempt] : host.ungranted;
  const told = op === "acquire" ? host.told : heir;
  const asking = {
    ...host,
    guest,
    lock: "acquiring",
    attempt,
    tried,
    found: false,
    ungranted,
    told,
  } as const;
  return sent(asking, { op, epoch: host.epoch, attempt, paused: tried === "return", takesBack: false });
}

export function awaits({ messages }: PausingHost): Message | undefined {
  return messages.find(({ awaited }) => awaited);
}

export function sent(host: PausingHost, message: Omit<Message, "awaited">): PausingHost {
  return { ...host, messages: [...host.messages, { ...message, awaited: true }] };
}

/** What etcd may have is of the guest that was left behind, whose return was given up. */
export function withOwnGuest(host: PausingHost): PausingHost {
  const { guest, left, leftStale, lock, tried } = host;
  const may = lock === "leaving" || ((lock === "acquiring" || lock === "unknown") && tried === "return");
  if (guest !== "none" || !left || !may) return host;
  return { ...host, guest: "paused", left: false, stale: leftStale };
}
