import { tokenizerFor } from "../../src/chassis/config/option_tokens.ts";
import { parseCommandLine } from "../../src/chassis/config/options.ts";
import { StartReport } from "../../src/chassis/start/launch.ts";
import { environmentOf, type SelfImage } from "../../src/chassis/start/self.ts";
import { StartError } from "../../src/chassis/start/start_error.ts";
import { SIGTERM } from "../../src/os/constants.ts";
import type { Sys } from "../../src/os/sys.ts";
import { SystemError } from "../../src/os/system_error.ts";
import { serve } from "../../src/storaged/daemon/serve.ts";
import { VIRTSTORAGED } from "../../src/storaged/identity/identity.ts";
import { kernel } from "../support/kernel.ts";
import { testProgram } from "../support/programs.ts";
import { FaultSys } from "./fault_sys.ts";
import { PlayedSignals } from "./played_signals.ts";
import { sparing } from "./spared.ts";
import type { End, Script } from "./stage.ts";

/** Turns of 100 ms of an idle daemon after the end of the script within which it must have stopped. */
const STOP_TURNS = 600;
const tokensOf = await tokenizerFor(["--all"]);
const MAIN = testProgram(new URL("../../main.ts", import.meta.url));

/** How a storage daemon's life ended. No script kills it. */
export type StorageEnd = Exclude<End, { readonly kind: "killed" }>;

/**
 * Runs the whole storage daemon of a session in this process, with real helper processes; its signals are
 * imitated. A script and the daemon take turns.
 */
export class StorageDaemonStage {
  readonly faults: FaultSys;
  /** Directory in which the daemon lives; it is the working directory. */
  readonly directory = Deno.cwd();
  readonly #self: SelfImage;
  readonly #log = `${this.directory}/daemon.log`;
  readonly #signals = new PlayedSignals();
  #script: Script | undefined;
  #served = false;
  #idle = 0;

  constructor() {
    const base = [Deno.execPath(), "run", "-A", "--no-check", MAIN, VIRTSTORAGED.name];
    const env = Object.entries({
      ...Deno.env.toObject(),
      LIBVIRT_LOG_OUTPUTS: `2:file:${this.#log}`,
    }).map(([name, value]) => `${name}=${value}`);
    this.#self = { path: Deno.execPath(), argv: base, base, env };
    const imitation: Sys = {
      ...kernel,
      ...this.#signals.overrides(),
      epollWait: (epoll, fds, events, timeout) => this.#wait(epoll, fds, events, timeout),
      setThreadName: () => 0,
    };
    this.faults = new FaultSys(imitation, sparing(this.#log));
  }

  /** Socket of the daemon. */
  get socket(): string {
    return `${Deno.env.get("XDG_RUNTIME_DIR")}/libvirt/virtstoraged-sock`;
  }

  /** Sends the daemon a signal. */
  signal(signal: number): void {
    this.#signals.send(signal);
  }

  /** Starts the daemon and lets a script happen; then stops it. Nothing of it is left open. */
  run(script: Script): StorageEnd {
    this.#script = script;
    this.#served = false;
    this.#idle = 0;
    const options = parseCommandLine(["-v"], VIRTSTORAGED.commands, tokensOf);
    if (options.kind !== "daemon") throw new Error("The command line is not one of the daemon");
    try {
      const { sys } = this.faults;
      const report = new StartReport(sys, undefined);
      const env = environmentOf(this.#self.env);
      const start = { self: this.#self, options: options.options, env, cwd: this.directory };
      const parts = { sys, ...start, report, complaints: [] };
      return { kind: "stopped", code: serve(parts) };
    } catch (error) {
      if (this.#served) return { kind: "died", error };
      if (error instanceof StartError || error instanceof SystemError) {
        return { kind: "refused", message: error.message };
      }
      return { kind: "died", error };
    } finally {
      this.#script = undefined;
      this.#signals.clear();
      this.faults.closeAll();
    }
  }

  /** The script's turn comes when there is nothing to do. */
  #wait(epoll: number, fds: Int32Array, events: Uint32Array, timeout: number): number {
    this.#served = true;
    const ready = kernel.epollWait(epoll, fds, events, 0);
    if (ready !== 0 || timeout === 0) return ready;
    if (this.#script === undefined) {
      if (++this.#idle > STOP_TURNS) throw new Error("The daemon does not stop at SIGTERM");
      return kernel.epollWait(epoll, fds, events, 100);
    }
    const { done, value } = this.#script.next();
    if (done) {
      this.#script = undefined;
      this.signal(SIGTERM);
    }
    return kernel.epollWait(epoll, fds, events, done ? 100 : value);
  }
}
