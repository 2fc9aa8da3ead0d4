import { takeOut } from "../../base/lists.ts";
import { askProgram } from "../../chassis/children/asked_program.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { processState } from "../../os/process_state.ts";
import type { Sys } from "../../os/sys.ts";
import type { AuthMethod, Authority, Verdict } from "../programs/authentication.ts";
import type { ClientLink } from "../rpc/client_link.ts";

const PKCHECK = "/usr/bin/pkcheck";
/** Where distributions put the daemon that decides. */
const POLKITD = ["/usr/lib/polkit-1/polkitd", "/usr/libexec/polkitd", "/usr/libexec/polkit-1/polkitd"];
/** How long a person may take to answer, in ms. */
const LIMIT_MS = 240_000;
/** Questions at once; more are refused, so that nobody fills the host with processes. */
const MOST_QUESTIONS = 32;
/** Of one user. */
const MOST_OF_USER = 4;
const MONITOR = "org.libvirt.unix.monitor";
const MANAGE = "org.libvirt.unix.manage";

/** The program that asks polkit; undefined where it, or polkit itself, is not installed. */
export function findPkcheck(sys: Pick<Sys, "access">): string | undefined {
  const installed = sys.access(PKCHECK, 1) === 0 && POLKITD.some((path) => sys.access(path, 1) === 0);
  return installed ? PKCHECK : undefined;
}

/** What deciding needs. */
export interface AuthorityParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  /** Environment of the daemon. */
  readonly env: readonly string[];
  /** The user that this daemon runs as. */
  readonly uid: number;
  /** What asks polkit; undefined where nobody can. */
  readonly pkcheck: () => string | undefined;
  /** What the configuration says, by the socket that a client has come to. */
  readonly method: (readOnly: boolean) => AuthMethod;
  readonly log: Log;
}

/** Root and the daemon's own user are served at once; of others polkit is asked, beside the loop. */
export class PolkitAuthority implements Authority {
  readonly #parts: AuthorityParts;
  /** Users of the questions under way. */
  readonly #asking: number[] = [];

  constructor(parts: AuthorityParts) {
    this.#parts = parts;
  }

  methodFor(client: ClientLink): AuthMethod {
    return this.trusts(client) ? "none" : this.#parts.method(client.readOnly);
  }

  trusts({ uid }: ClientLink): boolean {
    return uid === 0 || uid === this.#parts.uid;
  }

  ask(client: ClientLink, done: (verdict: Verdict) => void): void {
    const { sys, loop, ledger, env } = this.#parts;
    const { uid, pid } = client;
    const refuse = (reason: string) => loop.defer(() => done(this.#told(client, { kind: "failed", reason })));
    const pkcheck = this.#parts.pkcheck();
    if (pkcheck === undefined) return refuse("polkit is not installed");
    const theirs = this.#asking.filter((each) => each === uid).length;
    if (this.#asking.length >= MOST_QUESTIONS || theirs >= MOST_OF_USER) {
      return refuse("too many questions at once");
    }
    const start = startTime(sys, client);
    if (start === undefined) return refuse(`process ${pid} has ended`);
    this.#asking.push(uid);
    const action = client.readOnly ? MONITOR : MANAGE;
    const subject = `${pid},${start},${uid}`;
    const argv = [pkcheck, "--action-id", action, "--process", subject, "--allow-user-interaction"];
    askProgram({ sys, loop, ledger, env, limit: LIMIT_MS }, pkcheck, argv, (result) => {
      takeOut(this.#asking, uid);
      const verdict = result.kind === "ended" ? verdictOf(result, action) : result;
      done(
        this.#told(client, verdict.kind === "failed" ? { kind: "failed", reason: verdict.reason } : verdict),
      );
    });
  }

  #told(client: ClientLink, verdict: Verdict): Verdict {
    const who = `process ${client.pid} of uid ${client.uid}`;
    if (verdict.kind === "failed") {
      this.#parts.log.error(`Polkit could not be asked whether ${who} may connect: ${verdict.reason}`);
    } else if (verdict.kind !== "granted") {
      this.#parts.log.warn(`Polkit lets ${who} not connect (${verdict.kind})`);
    }
    return verdict;
  }
}

/** pkcheck(1), exit status. */
function verdictOf({ code, output }: { code: number; output: string }, action: string): Verdict {
  switch (code) {
    case 0:
      return { kind: "granted" };
    case 1:
      return { kind: "denied" };
    case 2:
      return { kind: "no-agent", action };
    case 3:
      return { kind: "cancelled" };
    default:
      return { kind: "failed", reason: output.trim() };
  }
}

/**
 * When the client's process was started, so that polkit cannot take another one of the same number for it.
 *
 * @returns undefined when it has ended, or who it is cannot be made sure of
 */
function startTime(sys: Sys, { pid, pidfd }: ClientLink): number | undefined {
  const state = processState(sys, pid);
  // The pidfd says that the process of the connection still lives, so what was read is about that one.
  if (state === undefined || pidfd < 0 || sys.pidfdSignal(pidfd, 0) < 0) return undefined;
  return state.startTime;
}
