import type { Without } from "../host_model.ts";
import { unused } from "../numbers.ts";
import { type Asking, epochs, type Message } from "./locking_host.ts";

/** What other hosts have in etcd. */
export interface Others {
  readonly alone: boolean;
  readonly share: boolean;
}

/** What came of a message. */
export type Outcome = "done" | "refused" | "moved";

/** What etcd has made of a message. */
export interface Applied<Host> {
  readonly after: Host;
  readonly outcome: Outcome;
  /** Whether the lock of another host was deleted. */
  readonly robs?: boolean;
}

/** etcd does what a message says. @param without rules that are left out */
export function applied<Host extends Asking>(
  host: Host,
  message: Message,
  others: Others,
  without: Without<"acquire-epoch" | "acquire-absent" | "release-record">,
): Applied<Host> {
  const { op, epoch, attempt, shared } = message;
  const moved = epoch !== host.session;
  switch (op) {
    case "bump": {
      if (moved) return { after: host, outcome: "moved" };
      return { after: { ...host, session: unused(epochs(host)) }, outcome: "done" };
    }
    case "acquire": {
      if (moved && !without.has("acquire-epoch")) return { after: host, outcome: "moved" };
      const mine = host.alone !== 0 || host.share !== 0;
      const free = !mine && !others.alone && (shared || !others.share);
      if (!free && !without.has("acquire-absent")) return { after: host, outcome: "refused" };
      return { after: { ...host, ...shared ? { share: attempt } : { alone: attempt } }, outcome: "done" };
    }
    case "release": {
      if (moved) return { after: host, outcome: "moved" };
      const there = shared ? host.share : host.alone;
      if (without.has("release-record") && !shared) {
        return { after: { ...host, alone: 0 }, outcome: "done", robs: true };
      }
      if (there !== attempt) return { after: host, outcome: "refused" };
      return { after: { ...host, ...shared ? { share: 0 } : { alone: 0 } }, outcome: "done" };
    }
  }
}

/** A message more is on its way. */
export function sent<Host extends Asking>(host: Host, message: Omit<Message, "awaited">): Host {
  return { ...host, messages: [...host.messages, { ...message, awaited: true }] };
}
