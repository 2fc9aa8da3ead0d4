import { shellQuoted } from "../../../base/shell_quoted.ts";
import type { RebootPolicy } from "../../identity/cluster_settings.ts";
import type { Machine } from "../host/machine.ts";
import type { MachineMark, SessionRecord } from "../keys/session_record.ts";

/** Whether a new start of this machine's kernel ends all that an earlier one has begun. */
export type RebootTrust =
  | { readonly kind: "trusted"; readonly mark: MachineMark }
  | { readonly kind: "untrusted"; readonly reason: string };

/** Whether this machine's starts may be trusted at all. */
export function rebootTrust(policy: RebootPolicy, { kind, mark }: Machine): RebootTrust {
  const untrusted = (reason: string) => ({ kind: "untrusted", reason } as const);
  if (policy === "never") return untrusted("cluster_trust_reboot = 0");
  if (kind.kind === "container") {
    return untrusted(
      `this is a container (${kind.by}), and what a killed one has written may still be on its way`,
    );
  }
  if ("missing" in mark) return untrusted(`nothing tells this machine from others: ${mark.missing}`);
  if (kind.kind === "virtual" && policy === "metal") {
    return untrusted(
      `this is a virtual machine (${kind.by}), which may go on elsewhere. cluster_trust_reboot = 2 says that it never does`,
    );
  }
  return { kind: "trusted", mark };
}

/** This host, and what is known of all. */
export interface RebootFacts {
  readonly trust: RebootTrust;
  /** The id of this host. */
  readonly host: string;
  /** The kernel's boot id; "": it is not known. */
  readonly boot: string;
  /** Every session of the cluster; of one that cannot be read what is wrong with it. */
  readonly sessions: readonly (SessionRecord | string)[];
}

/** Whether a session is of this host before its kernel was started anew, and still counts. */
export function isOfEarlierStart(
  { host, boot, left, removed }: SessionRecord,
  own: Pick<RebootFacts, "host" | "boot">,
): boolean {
  return host === own.host && boot !== own.boot && left !== true && removed !== true;
}

/**
 * Why it is not certain that nothing of an earlier start of this host's kernel can write any more, as far as
 * records tell.
 *
 * The argument: a machine that is no virtual one, and shares its kernel with no other host, runs one kernel
 * at a time. A session has the id of the kernel's start that it belongs to. Another start of the same board
 * runs now, and has written its own session; so that kernel has ended, and with it every guest. What makes it
 * the same board is its mark: a copy of this host's disk in another machine has another one. Whether the
 * earlier start is heard of all the same is asked besides, by condemning it: see EarlierStarts.
 *
 * @returns undefined when it is certain
 */
export function distrustOf(session: SessionRecord, facts: RebootFacts): string | undefined {
  const { trust, boot, sessions } = facts;
  if (trust.kind === "untrusted") return trust.reason;
  if (boot === "" || session.boot === "") return "the id of the kernel's start is not known";
  if (!isOfEarlierStart(session, facts)) return "it is none of an earlier start of this host";
  const { machine } = session;
  if (machine === undefined) {
    return "it does not say on which machine it was: a container, one without an id of its firmware, or an older version";
  }
  if (machine.board !== trust.mark.board || machine.whole !== trust.mark.whole) {
    return "it was on another machine, which may run still, or this one's board, serial numbers or /etc/machine-id have changed";
  }
  const wrong = sessions.find((other) => typeof other === "string");
  if (wrong !== undefined) return `the session of some host in etcd cannot be read: ${wrong}`;
  const twin = sessions.filter((other) => typeof other !== "string").find((other) => isTwin(session, other));
  if (twin === undefined) return undefined;
  return `host '${twin.name}' (id ${twin.host}) has the same uuid in its firmware, which therefore tells nothing. If ` +
    `that host is no more, take away what is known of it: virtlockd cluster remove ${shellQuoted(twin.host)}`;
}

/** Whether another host that is still a member has the same firmware's uuid. */
function isTwin({ host, machine }: SessionRecord, other: SessionRecord): boolean {
  return other.host !== host && other.machine?.board === machine?.board && other.left !== true &&
    other.removed !== true;
}
