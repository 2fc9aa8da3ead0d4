import { VIRTLOCKD } from "../../src/lockd/identity/identity.ts";
import { VERSION } from "../../src/chassis/config/build_config.ts";
import { tokenizerFor } from "../../src/chassis/config/option_tokens.ts";
import { journalPath } from "../../src/chassis/journal/layout.ts";
import { parseCommandLine } from "../../src/chassis/config/options.ts";
import { StartReport } from "../../src/chassis/start/launch.ts";
import { environmentOf, type SelfImage } from "../../src/chassis/start/self.ts";
import { serve } from "../../src/lockd/life/serve.ts";
import { StartError } from "../../src/chassis/start/start_error.ts";
import { F_GETFD, F_UNLCK, FD_CLOEXEC, SIGTERM } from "../../src/os/constants.ts";
import { processState } from "../../src/os/process_state.ts";
import type { Sys } from "../../src/os/sys.ts";
import { SystemError } from "../../src/os/system_error.ts";
import { FakeProcesses } from "../fuzz/fake_processes.ts";
import { kernel } from "../support/kernel.ts";
import { Random } from "../support/random.ts";
import { type Fault, FaultSys } from "./fault_sys.ts";
import { PlayedSignals } from "./played_signals.ts";
import { sparing } from "./spared.ts";
import { Store } from "./store.ts";
import { testProgram } from "../support/programs.ts";

/** Turns of 100 ms of an idle daemon after the end of the script within which it must have stopped. */
const STOP_TURNS = 600;
const tokensOf = await tokenizerFor(["--all"]);
const MAIN = testProgram(new URL("../support/virtlockd_main.ts", import.meta.url));
/** Timers of the daemon run so many times as fast, but while a program runs that it waits for. */
const HASTE = 20;

/**
 * What is done to the daemon. It runs while the daemon is idle; what it yields is how long, in ms, the daemon
 * may wait for an event before it goes on.
 */
export type Script = Generator<number, void, void>;

/** Thrown in place of a successful exec. */
class Executed extends Error {}

/** Thrown where a daemon is killed. */
class Killed extends Error {}

/** How a daemon's life ended. */
export type End =
  /** As it should: the script was at its end. */
  | { readonly kind: "stopped"; readonly code: number }
  /** It was killed by the script. */
  | { readonly kind: "killed" }
  /** The start failed, with a reason. */
  | { readonly kind: "refused"; readonly message: string }
  /** It should not have ended. */
  | { readonly kind: "died"; readonly error: unknown };

/**
 * Runs the whole daemon in this process, without its signals, exec and clients' processes, which are
 * imitated: a script and the daemon take turns. An exec ends the daemon, closes what an exec closes, and
 * starts it again with what is left.
 */
export class Stage {
  readonly faults: FaultSys;
  readonly processes: FakeProcesses;
  /** Undefined without a service manager. */
  readonly store: Store | undefined;
  /** Directory in which the daemon lives; it is the working directory. */
  readonly directory = Deno.cwd();
  readonly #self: SelfImage;
  readonly #log: string;
  readonly #signals = new PlayedSignals();
  #script: Script | undefined;
  #executions = 0;
  #served = false;
  #idle = 0;
  #killed = false;
  /** Programs that the daemon has started, and that have not ended as far as is known. */
  readonly #programs = new Set<number>();
  /** When the clock was looked at last, and what it said. */
  #looked = kernel.monotonic();
  #time = this.#looked * HASTE;
  /** Fails in the image that is executed next, from its first call on. */
  faultOfNextImage: Fault | undefined;

  /** @param stored whether there is a service manager that keeps descriptors */
  constructor(stored = false) {
    const { directory } = this;
    this.#log = `${directory}/daemon.log`;
    const program = `${directory}/virtlockd`;
    // It is asked what it is, to be a storage helper, and how much of a state it would take over: whoever
    // re-execs here has one client and one lock.
    const text = `#!/bin/sh
case "$1" in
  internal-storage) exec '${Deno.execPath()}' run -A --no-check '${MAIN}' "$@" ;;
  internal-check-state) echo '1 client, 1 lock' ;;
  *) echo 'virtlockd (deno-virtlockd) ${VERSION}' ;;
esac
`;
    Deno.writeTextFileSync(program, text, { mode: 0o755 });
    const notify = `${directory}/notify`;
    this.store = stored ? new Store(notify) : undefined;
    const manager = stored ? { NOTIFY_SOCKET: notify, VIRTLOCKD_FDSTORE_MAX: "1000" } : {};
    const env = Object.entries({
      ...Deno.env.toObject(),
      LIBVIRT_LOG_OUTPUTS: `2:file:${this.#log}`,
      ...manager,
    })
      .map(([name, value]) => `${name}=${value}`);
    this.#self = { path: program, argv: [program], base: [program], env };
    this.processes = new FakeProcesses(kernel, new Random(1));
    this.faults = new FaultSys(this.#imitation(), sparing(this.#log));
  }

  /** How many execs succeeded. */
  get executions(): number {
    return this.#executions;
  }

  /** Length of the log; give it to {@link logSince}. */
  get logLength(): number {
    return Deno.statSync(this.#log).size;
  }

  /** What was logged since a length. */
  logSince(length: number): string {
    return new TextDecoder().decode(Deno.readFileSync(this.#log).subarray(length));
  }

  /** Sends the daemon a signal. */
  signal(signal: number): void {
    this.#signals.send(signal);
  }

  /** The daemon ends as by SIGKILL when the script has had its turn. */
  kill(): void {
    this.#killed = true;
  }

  /** Starts the daemon and lets a script happen; then stops it. Nothing of it is left open. */
  run(script: Script): End {
    this.#script = script;
    this.#served = false;
    this.#idle = 0;
    const options = parseCommandLine(["-v"], VIRTLOCKD.commands, tokensOf);
    if (options.kind !== "daemon") throw new Error("The command line is not one of the daemon");
    for (;;) {
      try {
        const report = new StartReport(this.faults.sys, undefined);
        const env = environmentOf(this.#self.env);
        const parts = { sys: this.faults.sys, self: this.#self, options: options.options, env };
        return {
          kind: "stopped",
          code: serve({
            ...parts,
            cwd: this.directory,
            report,
            complaints: [],
            mistakes: [],
            atStake: () => false,
          }),
        };
      } catch (error) {
        if (error instanceof Executed) {
          this.#executions++;
          this.#served = false;
          this.faults.closeAll((fd) => (kernel.fcntl(fd, F_GETFD, 0) & FD_CLOEXEC) === 0);
          if (this.faultOfNextImage !== undefined) this.faults.arm(this.faultOfNextImage);
          this.faultOfNextImage = undefined;
          continue;
        }
        if (error instanceof Killed) {
          this.#script = undefined;
          // Memory that is mapped keeps its file open here, and with it the lock on that.
          for (const fd of this.faults.open.keys()) kernel.ofdLock(fd, F_UNLCK, 0, 0);
          return { kind: "killed" };
        }
        if (this.#served) return { kind: "died", error };
        if (error instanceof StartError || error instanceof SystemError) {
          return { kind: "refused", message: `${error.message}` };
        }
        return { kind: "died", error };
      } finally {
        if (this.#script === undefined) this.faults.closeAll();
      }
    }
  }

  /**
   * Removes a restart state that an image could not read: another process would ignore it, but here all have
   * one pid.
   */
  forgetState(): void {
    kernel.unlink(`${this.directory}/run/libvirt/virtlockd-restart-exec.json`);
  }

  /** Removes the journal of a daemon that was killed and that nobody has followed. */
  forgetJournal(): void {
    kernel.unlink(journalPath(`${this.directory}/run/libvirt/virtlockd-journal`));
    kernel.unlink(`${this.directory}/locks/kept`);
  }

  /** Forgets what a daemon that died has left open. */
  clear(): void {
    this.#script = undefined;
    this.#signals.clear();
    this.faults.disarm();
    this.faults.closeAll();
    this.store?.clear();
  }

  #imitation(): Sys {
    return {
      ...kernel,
      ...this.processes.overrides(),
      close: (fd) => {
        this.processes.closed(fd);
        return kernel.close(fd);
      },
      ...this.#signals.overrides(),
      spawn: (options) => {
        const pid = kernel.spawn(options);
        if (pid > 0) this.#programs.add(pid);
        return pid;
      },
      monotonic: () => this.#now(),
      timerSet: (fd, milliseconds) => kernel.timerSet(fd, milliseconds / HASTE),
      epollWait: (epoll, fds, events, timeout) => this.#wait(epoll, fds, events, timeout),
      execve: () => {
        this.faults.disarm();
        throw new Executed("Executed");
      },
      setThreadName: () => 0,
    };
  }

  /** A program takes the time that it takes on this machine, and its limit is to be as far as it is. */
  #now(): number {
    const now = kernel.monotonic();
    for (const pid of this.#programs) {
      if (processState(kernel, pid)?.exiting !== false) this.#programs.delete(pid);
    }
    this.#time += (now - this.#looked) * (this.#programs.size > 0 ? 1 : HASTE);
    this.#looked = now;
    return this.#time;
  }

  /** The script's turn comes when there is nothing to do. */
  #wait(epoll: number, fds: Int32Array, events: Uint32Array, timeout: number): number {
    this.#served = true;
    const ready = kernel.epollWait(epoll, fds, events, 0);
    if (ready !== 0 || timeout === 0 || this.store?.take()) return ready;
    if (this.#script === undefined) {
      if (++this.#idle > STOP_TURNS) throw new Error("The daemon does not stop at SIGTERM");
      return kernel.epollWait(epoll, fds, events, 100);
    }
    const { done, value } = this.#script.next();
    if (this.#killed) {
      this.#killed = false;
      throw new Killed("Killed");
    }
    if (done) {
      this.#script = undefined;
      this.signal(SIGTERM);
    }
    return kernel.epollWait(epoll, fds, events, done ? 100 : value);
  }
}
