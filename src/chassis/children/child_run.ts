import { EPOLLIN, SIGKILL } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { endingOf } from "../../os/program_result.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { EventLoop, Timer } from "../event/event_loop.ts";
import { ChildOutput } from "./child_output.ts";
import { type ChildCommand, startChild, type StartedChild } from "./child_start.ts";

/** What running a program needs. */
export interface ChildParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: Pick<DescriptorLedger, "own" | "close">;
}

/** How a program is run. */
export interface ChildManner {
  /** Milliseconds after which it is killed; undefined: never. */
  readonly limit: number | undefined;
  /** Bytes that are kept of each output. A program that writes so many is killed. */
  readonly most: number;
  /** Whether both outputs are one text, in the order in which they were written. */
  readonly outputs: "joined" | "apart";
  /**
   * How it is killed. `group`: it leads a session of its own, and all of that goes. Else it stays in the
   * group of this process, and the function kills it, and what it has started, at once.
   */
  readonly kill: "group" | ((pid: number) => void);
  /** Told of what it writes to its standard output, as it comes. */
  readonly output?: (text: string) => void;
  /** Called when it has written anything. */
  readonly heard?: () => void;
}

/** How a program ended. */
export type ChildEnd =
  /** `stdout`: both, when they are joined. */
  | { readonly kind: "exited"; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: "killed"; readonly signal: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: "unstarted"; readonly error: SystemError }
  /** It ran too long or wrote too much, and was killed for it; or its end could not be learnt. */
  | { readonly kind: "failed"; readonly reason: string };

/** A program that was started, or could not be. */
export interface ChildRun {
  /** Whether it has ended and nothing is left of it. */
  readonly over: boolean;
  /** Ends it at once, and waits until it has: a process that hangs in the kernel makes the caller hang. */
  end(reason: string): void;
}

/**
 * Runs a program while the loop serves whatever else it watches.
 *
 * Its end counts, not that of its output, which a child of its own may keep open.
 *
 * @param done called once, never before this function has returned. After the limit it is called although
 *   the program may not be gone: one on storage that hangs cannot even be killed, and nobody waits for that
 */
export function runChild(
  parts: ChildParts,
  command: ChildCommand,
  manner: ChildManner,
  done: (end: ChildEnd) => void,
): ChildRun {
  const group = manner.kill === "group" ? "own" : "caller";
  const child = startChild(parts.sys, command, group, manner.outputs === "apart");
  if (child instanceof SystemError) {
    parts.loop.defer(() => done({ kind: "unstarted", error: child }));
    return { over: true, end: () => {} };
  }
  return new WatchedChild(parts, command.path, child, manner, done);
}

/** A program that runs, or has left something behind. */
class WatchedChild implements ChildRun {
  readonly #parts: ChildParts;
  readonly #path: string;
  readonly #child: StartedChild;
  readonly #manner: ChildManner;
  readonly #done: (end: ChildEnd) => void;
  readonly #timer: Timer | undefined;
  readonly #stdout: ChildOutput;
  readonly #stderr: ChildOutput | undefined;
  /** Those from which something may come. */
  readonly #open = new Set<ChildOutput>();
  /** Why it was killed, if it was. */
  #wrong: string | undefined;
  #over = false;
  #answered = false;

  constructor(
    parts: ChildParts,
    path: string,
    child: StartedChild,
    manner: ChildManner,
    done: (end: ChildEnd) => void,
  ) {
    const { sys, loop, ledger } = parts;
    const { limit, most, output, heard } = manner;
    const { pidfd, outputs: [stdout = -1, stderr] } = child;
    this.#parts = parts;
    this.#path = path;
    this.#child = child;
    this.#manner = manner;
    this.#done = done;
    this.#stdout = new ChildOutput(sys, stdout, most, (text) => {
      heard?.();
      output?.(text);
    });
    if (stderr !== undefined) this.#stderr = new ChildOutput(sys, stderr, most, () => heard?.());
    this.#open.add(this.#stdout);
    if (this.#stderr !== undefined) this.#open.add(this.#stderr);
    ledger.own(pidfd, "program");
    for (const { fd } of this.#open) ledger.own(fd, "program");
    this.#timer = limit === undefined ? undefined : loop.after(limit, () => {
      this.#kill(`it did not end within ${limit / 1000} s`);
      this.#answer({ kind: "failed", reason: this.#wrong ?? "" });
    });
    for (const each of this.#open) loop.add(each.fd, EPOLLIN, () => this.#read(each));
    loop.add(pidfd, EPOLLIN, () => this.#ended());
  }

  get over(): boolean {
    return this.#over;
  }

  end(reason: string): void {
    if (this.#over) return;
    this.#kill(reason);
    this.#ended();
  }

  #read(output: ChildOutput): void {
    if (!this.#open.has(output) || output.read()) return;
    const { loop, ledger } = this.#parts;
    this.#open.delete(output);
    loop.remove(output.fd);
    ledger.close(output.fd);
    if (output.full) this.#kill(`it wrote ${this.#manner.most} bytes and more`);
  }

  #kill(reason: string): void {
    this.#wrong ??= reason;
    const { kill } = this.#manner;
    const { pid } = this.#child;
    if (kill === "group") this.#parts.sys.kill(-pid, SIGKILL);
    else kill(pid);
  }

  /** It has ended, or was killed and is waited for. */
  #ended(): void {
    const { sys, loop, ledger } = this.#parts;
    const { pid, pidfd } = this.#child;
    this.#over = true;
    this.#timer?.cancel();
    // What it has written before its end is there now.
    for (const output of [...this.#open]) {
      this.#read(output);
      if (!this.#open.delete(output)) continue;
      loop.remove(output.fd);
      ledger.close(output.fd);
    }
    loop.remove(pidfd);
    ledger.close(pidfd);
    const status = new Int32Array(1);
    const waited = sys.waitChild(pid, true, status);
    if (this.#wrong !== undefined) return this.#answer({ kind: "failed", reason: this.#wrong });
    if (waited < 0) {
      return this.#answer({ kind: "failed", reason: new SystemError("waitpid", this.#path, waited).message });
    }
    const texts = { stdout: this.#stdout.text, stderr: this.#stderr?.text ?? "" };
    this.#answer({ ...endingOf(status[0] as number), ...texts });
  }

  #answer(end: ChildEnd): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#done(end);
  }
}
