import type { LockEntry, StatusDocument } from "../../status/status_document.ts";
import type { Obstacle } from "../../../chassis/cli/admin_link.ts";
import type { ShownStore } from "../../../chassis/systemd/shown_store.ts";
import type { Host } from "../guests/host.ts";

/** How grave a finding is. */
export type Level = "ok" | "warning" | "problem";

/** What a check has found. */
export interface Finding {
  readonly level: Level;
  /** What is so, in one sentence. */
  readonly found: string;
  /** What to do about it; none where all is well. */
  readonly advice?: string;
}

/** What a daemon says. */
export interface AnsweringDaemon {
  readonly kind: "answers";
  readonly status: StatusDocument;
  readonly locks: readonly LockEntry[];
}

/** What the daemon says, or why it says nothing. */
export type DaemonView =
  | AnsweringDaemon
  /** libvirt's own virtlockd runs. */
  | { readonly kind: "foreign"; readonly reason: string }
  | { readonly kind: "unreachable"; readonly obstacle: Obstacle; readonly reason: string };

/** The host and its daemon, as they are examined. */
export interface Patient {
  readonly host: Host;
  readonly daemon: DaemonView;
  /** Asks the daemon anew, a moment later: what was under way is done then. */
  readonly lookAgain: () => DaemonView;
  /**
   * What systemd says of the store of a unit of the running host; undefined when it says nothing, and for
   * another host.
   */
  readonly serviceStore: (unit: string) => Promise<ShownStore | undefined>;
  /** Mount points whose storage does not answer: no path below them is looked at. */
  readonly silent: readonly string[];
  /** Version of this program. */
  readonly version: string;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Looks for one thing that leaves guests without locks. It only reads. */
export interface Check {
  readonly name: string;
  /** Nothing found means that there was nothing to look at. */
  run(patient: Patient): readonly Finding[] | Promise<readonly Finding[]>;
}

/**
 * What is found now and again a moment later: what libvirt or the daemon were just doing is over then.
 *
 * @param look called with what the daemon says, once or twice
 */
export function lasting(
  { daemon, lookAgain }: Patient,
  look: (daemon: AnsweringDaemon) => readonly Finding[],
): Finding[] {
  if (daemon.kind !== "answers") return [];
  const before = look(daemon);
  if (before.length === 0) return [];
  const again = lookAgain();
  if (again.kind !== "answers") return [...before];
  return look(again).filter(({ found }) => before.some((first) => first.found === found));
}

/** All is well. */
export function ok(found: string): Finding {
  return { level: "ok", found };
}

/** Not as it should be, but no guest is known to suffer. */
export function warning(found: string, advice: string): Finding {
  return { level: "warning", found, advice };
}

/** Guests are, or will be, without locks or refused. */
export function problem(found: string, advice: string): Finding {
  return { level: "problem", found, advice };
}
