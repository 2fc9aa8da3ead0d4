import type { Log } from "../../chassis/log/log.ts";
import { F_SETFD, FD_CLOEXEC, SIGHUP, SIGIO, SIGUSR1 } from "../../os/constants.ts";
import { EFBIG } from "../../os/errno.ts";
import { SystemError } from "../../os/system_error.ts";
import { type DaemonExtension, descriptorsOf, type RestartState } from "../restart/state.ts";
import { LIBVIRT_MAX_BYTES } from "../restart/document_format.ts";
import { summaryOf, summaryText } from "../restart/check_state.ts";
import { writeState } from "../restart/write_state.ts";
import type { Daemon } from "../daemon/daemon.ts";
import type { InheritedLocks } from "../daemon/inherited_locks.ts";
import { askProgram } from "../../chassis/children/asked_program.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import { lastingEnvironment, type SelfImage, withVariables } from "../../chassis/start/self.ts";
import { SYSTEMCTL, watchdogQuery, watchReason } from "../../chassis/systemd/unit.ts";
import { DAEMON_SIGNALS } from "../../chassis/start/signals.ts";
import { type HeapRoom, heapRoom } from "./heap_room.ts";
import { snapshot } from "./snapshot.ts";
import type { StateFile } from "../restart/state_file.ts";
import { warnOfAloneOwners } from "./alone_owners.ts";

/**
 * How long the new program may take to say who it is, and how long to look at a state, in ms: one with many
 * thousand locks takes seconds, and several times as long on a host that is busy. The running daemon serves
 * meanwhile.
 */
const PROBE_LIMIT_MS = 20_000;
/**
 * How long the handover to libvirt's daemon waits for requests and dying holders, which that daemon cannot
 * take over.
 */
const QUIET_LIMIT_MS = 10_000;
const QUIET_POLL_MS = 20;

/** Hidden command by which a new image is asked whether it understands a state. */
export const CHECK_COMMAND = "internal-check-state";

/** The same where the host is in a cluster: a program that knows no clusters does not know the command. */
export const CHECK_CLUSTER_COMMAND = "internal-check-cluster-state";

/** Which program is about to take over. */
type Successor = "ours" | "libvirt";

/** What the re-exec works with. */
export interface ReExecParts {
  readonly daemon: Daemon;
  readonly self: SelfImage;
  readonly stateFile: StateFile;
  /** What the next image gets beyond libvirt's fields; the descriptors named in it are handed over. */
  readonly extension: () => DaemonExtension;
  /** Why libvirt's daemon would not start with the configuration as it is; undefined when it would. */
  readonly configurationFault: () => string | undefined;
  /** Locks in the form in which libvirt's daemon has its own. */
  readonly locks: Pick<InheritedLocks, "prepare" | "give" | "take">;
  /** Called before libvirt's daemon takes over: nothing may keep copies of locks. `done` when that is so. */
  readonly leaveStore: (done: (reason: string | undefined) => void) => void;
  /** The unit in which systemd may have been asked for a watchdog; undefined without systemd. */
  readonly watched: string | undefined;
  /** Called when nobody took over: {@link leaveStore} is to be undone. */
  readonly stayed: () => void;
  /** Told right before the exec, and again if it failed. */
  readonly announce: (state: "leaving" | "staying") => void;
}

/**
 * Replaces the running daemon by the program that is on disk now, without dropping anything (SIGUSR1).
 * docs/restart-state.md.
 *
 * The new program is asked first who it is and whether it understands the state. Whatever fails is logged and
 * the running daemon goes on as if nothing had been asked.
 */
export class ReExec {
  readonly #parts: ReExecParts;
  readonly #log: Log;
  #underWay = false;
  /** Size of the document written last. */
  #bytes = 0;

  constructor(parts: ReExecParts) {
    this.#parts = parts;
    this.#log = parts.daemon.log;
  }

  /** SIGUSR1 came. One that comes while the first is under way adds nothing. */
  request(): void {
    if (this.#underWay || this.#parts.daemon.ending) return;
    this.#underWay = true;
    const { self } = this.#parts;
    this.#log.info(`Asked to re-exec: checking ${self.path}`);
    this.#probe(["--version"], (result) => this.#identified(result));
  }

  /** The daemon ends: nothing of a re-exec that is under way stays behind. */
  abandon(): void {
    if (this.#underWay) this.#parts.daemon.sys.unlink(this.#trial);
  }

  /** Where a state is put for a new image to look at. */
  get #trial(): string {
    return `${this.#parts.stateFile.path}.check`;
  }

  /** Runs the program that is on disk now. */
  #probe(args: readonly string[], done: (result: ProgramResult) => void, room: HeapRoom = {}): void {
    const { path, base } = this.#parts.self;
    this.#run(path, [...base, ...args], done, room);
  }

  #run(
    path: string,
    argv: readonly string[],
    done: (result: ProgramResult) => void,
    room: HeapRoom = {},
  ): void {
    const { daemon, self } = this.#parts;
    const { sys, loop, ledger, storage } = daemon;
    // With locks on storage that may hang, a child of the daemon's own might not even start, and the daemon
    // would wait for it.
    if (storage.handover !== undefined) {
      return storage.run(path, argv, PROBE_LIMIT_MS, done, room);
    }
    const env = withVariables(self.env, room);
    askProgram({ sys, loop, ledger, env, limit: PROBE_LIMIT_MS }, path, argv, done);
  }

  #identified(result: ProgramResult): void {
    if (result.kind === "failed") return this.#stay(result.reason);
    const { output, code } = result;
    const line = output.trim().split("\n")[0] ?? "";
    if (code !== 0) return this.#stay(`with --version it ended with code ${code}${saying(line)}`);
    if (/^virtlockd \(deno-virtlockd\) /.test(line)) return this.#checkState();
    if (/^\S*virtlockd \(libvirt\) /.test(line)) return this.#handToLibvirt();
    this.#stay(`it is not a virtlockd: --version says '${line}'`);
  }

  /**
   * Has the new image load the state as it is now. Not the state itself: that is written when nothing changes
   * any more.
   */
  #checkState(): void {
    const trial = this.#trial;
    const state = this.#state("ours");
    try {
      this.#save(state, trial);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return this.#stay(error.message);
    }
    this.#look(state, heapRoom(this.#bytes));
  }

  /** @param room what it gets then: a runtime that is a new one too may not know it, and would not start */
  #look(state: RestartState, room: HeapRoom): void {
    const trial = this.#trial;
    const command = this.#parts.daemon.cluster === undefined ? CHECK_COMMAND : CHECK_CLUSTER_COMMAND;
    this.#probe([command, trial], (result) => {
      const isRoomAsked = Object.keys(room).length > 0;
      if (isRoomAsked && result.kind === "ended" && result.code !== 0) return this.#look(state, {});
      this.#parts.daemon.sys.unlink(trial);
      if (result.kind === "failed") return this.#stay(result.reason);
      if (result.code !== 0) {
        return this.#stay(`it does not understand the state${saying(result.output.trim())}`);
      }
      // One that passes for ours would end in our place; one that overlooks a lock would close it.
      const whole = summaryText(summaryOf(state));
      if (!result.output.split("\n").includes(whole)) {
        return this.#stay(`it does not take over everything, ${whole}${saying(result.output.trim())}`);
      }
      this.#exec("ours", room);
    }, room);
  }

  /**
   * libvirt's daemon takes over no half requests, no replies under way and no dying holders: wait until there
   * are none.
   */
  #handToLibvirt(): void {
    const { daemon, leaveStore, locks, configurationFault } = this.#parts;
    if (daemon.cluster !== undefined) {
      return this.#stay(
        "this host is in a cluster, of which libvirt's daemon knows nothing: it would lock disks that other hosts use. " +
          "See docs/cluster.md, Leave a cluster",
      );
    }
    // It would end with every lock. Without any it may say itself what is wrong.
    const fault = daemon.table.resourceCount === 0 ? undefined : configurationFault();
    if (fault !== undefined) {
      return this.#stay(`libvirt's daemon would not start with this configuration: ${fault}`);
    }
    locks.prepare(() => {
      if (daemon.ending) return this.#stay("the daemon is stopping");
      for (const server of daemon.servers) server.stopAccepting();
      leaveStore((reason) => {
        if (reason !== undefined) return this.#stay(reason);
        this.#confirmUnwatched(() => this.#awaitQuiet(daemon.sys.monotonic() + QUIET_LIMIT_MS));
      });
    });
  }

  /**
   * libvirt's daemon gives no signs of life: a service manager that still waits for them would kill it with
   * all its locks. It may be another unit by now, from which systemd takes no messages.
   */
  #confirmUnwatched(then: () => void): void {
    const { watched } = this.#parts;
    if (watched === undefined) return then();
    this.#run(SYSTEMCTL, [SYSTEMCTL, ...watchdogQuery(watched)], (result) => {
      const reason = result.kind === "failed" ? result.reason : watchReason(watched, result.output);
      if (reason === undefined) return then();
      this.#stay(`systemd may kill libvirt's daemon, its watchdog is not known to be off: ${reason}`);
    });
  }

  #awaitQuiet(deadline: number): void {
    const { daemon } = this.#parts;
    const clients = daemon.servers.flatMap((server) => [...server.clients.values()]);
    const unfinished = clients.find((client) => client.busy || client.unserved.bytes.length > 0);
    const releasing = daemon.table.resources().find(({ state }) => state.kind === "releasing");
    const settled = daemon.reaper.dying.length === 0 && daemon.settler.size === 0 && releasing === undefined;
    if (unfinished === undefined && settled) return this.#exec("libvirt");
    if (daemon.sys.monotonic() < deadline) {
      daemon.loop.after(QUIET_POLL_MS, () => this.#awaitQuiet(deadline));
      return;
    }
    if (releasing !== undefined) {
      return this.#stay(
        `the lock on '${releasing.name}' is still being released, which only this daemon can end`,
      );
    }
    if (unfinished !== undefined) {
      return this.#stay(
        `client ${unfinished.peer.clientId} has a request under way, which libvirt's daemon would lose`,
      );
    }
    this.#stay(
      daemon.reaper.dying.length > 0
        ? "a holder is still being killed, which libvirt's daemon would not go on with"
        : "a guest has ended whose last writes may not have landed, and libvirt's daemon would free its locks",
    );
  }

  #exec(successor: Successor, room: HeapRoom = {}): void {
    const { daemon, self, stateFile, announce, locks } = this.#parts;
    const { sys } = daemon;
    // The next image would know nothing of the signal that ends this one.
    if (daemon.ending) return this.#stay("the daemon is stopping");
    const refused = successor === "libvirt" ? locks.give() : undefined;
    if (refused !== undefined) return this.#stay(refused);
    const state = this.#state(successor);
    const descriptors = descriptorsOf(state);
    // A parked descriptor that is closed takes a lock along, also when nobody after us knows of it.
    if (successor === "libvirt") descriptors.push(...daemon.guard.parked.map(({ fd }) => fd));
    try {
      this.#save(state, stateFile.path);
      // It would exit with every lock.
      if (successor === "libvirt" && this.#bytes > LIBVIRT_MAX_BYTES) {
        throw new SystemError("write a state that libvirt's daemon can read", stateFile.path, EFBIG);
      }
      for (const fd of descriptors) {
        const cleared = sys.fcntl(fd, F_SETFD, 0);
        if (cleared < 0) throw new SystemError("fcntl F_SETFD", `descriptor ${fd}`, cleared);
      }
      this.#log.info(`Handing over to ${self.path}`);
      if (successor === "libvirt") warnOfAloneOwners(daemon);
      // libvirt's daemon would never tell the service manager that it is ready again.
      if (successor === "ours") announce("leaving");
      // libvirt's daemon expects its signals unblocked; one that comes before it is ready must not kill it.
      if (successor === "libvirt") {
        sys.ignoreSignals([SIGUSR1, SIGHUP, SIGIO]);
        sys.unblockSignals(DAEMON_SIGNALS);
      }
      const env = withVariables(lastingEnvironment(self.env), room);
      const failed = sys.execve(self.path, self.argv, env);
      sys.blockSignals(DAEMON_SIGNALS);
      throw new SystemError("execve", self.path, failed);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      for (const fd of descriptors) sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
      locks.take();
      stateFile.remove();
      announce("staying");
      this.#stay(error.message);
    }
  }

  #state(successor: Successor): RestartState {
    const { daemon, extension } = this.#parts;
    return snapshot(daemon, {
      pid: daemon.sys.pid(),
      extension: successor === "ours" ? extension() : undefined,
    });
  }

  #save(state: RestartState, path: string): void {
    const { stateFile } = this.#parts;
    const bytes = writeState(state);
    this.#bytes = bytes.length;
    stateFile.saveAs(path, bytes);
  }

  #stay(reason: string): void {
    this.#underWay = false;
    this.#parts.daemon.metrics.reExecFailed(reason);
    this.#parts.stayed();
    const { daemon } = this.#parts;
    if (!daemon.ending) {
      for (const server of daemon.servers) server.startAccepting();
    }
    this.#log.error(`Re-exec of ${this.#parts.self.path} given up, everything goes on as before: ${reason}`);
  }
}

/** What a program said when it failed, behind what it did. */
function saying(text: string): string {
  return text === "" ? " and said nothing" : `: ${text.replace(/\s*\n\s*/g, "; ")}`;
}
