import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { getLog } from "../../../../src/chassis/log/log.ts";
import { StartReport } from "../../../../src/chassis/start/launch.ts";
import { startLogging } from "../../../../src/chassis/start/start.ts";
import type { NotifySocket } from "../../../../src/chassis/systemd/notify.ts";
import { CrashSafety } from "../../../../src/lockd/crash/crash_safety.ts";
import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import { lockPaths } from "../../../../src/lockd/identity/lock_paths.ts";
import { build, type Built } from "../../../../src/lockd/life/built.ts";
import type { Found } from "../../../../src/lockd/life/found.ts";
import { readStart } from "../../../../src/lockd/life/read_start.ts";
import { SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { EAGAIN, ENOENT } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { SignalInfo, Sys } from "../../../../src/os/sys.ts";
import { encodeText } from "../../../../src/os/text.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

/** An owner whose process has never been. */
export const OWNER = { pid: 5_000_001, name: "web", uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", id: 3 };

/** How a stage of the tests begins. */
export interface LifeParts {
  /** Of the process; with one there is a service manager. */
  readonly env?: Readonly<Record<string, string>>;
  /** Idle timeout of the command line, in seconds. */
  readonly timeout?: number;
  /** Text of /proc/self/cgroup. */
  readonly cgroup?: string;
  /** Address of the service manager. */
  readonly notifyAddress?: string;
}

/**
 * What a start has found, with the files of a user in a directory of the test, signals that the test sends,
 * and a service manager that takes everything. No stage of a life is begun.
 */
export class LifeStage implements Disposable {
  readonly scratch = new Scratch();
  /** What the service manager was told, and the one who waits for the start. */
  readonly told: string[] = [];
  readonly signals: SignalInfo[] = [];
  readonly sys: Sys;
  readonly found: Found;
  readonly #ends: [number, number];
  readonly #signalEnds: [number, number];
  readonly #cgroup: number[] = [];

  constructor({ env, timeout, cgroup = "", notifyAddress }: LifeParts = {}) {
    this.#ends = pair();
    this.#signalEnds = pair();
    this.sys = this.#played(cgroup);
    const loop = new EventLoop(this.sys);
    const ledger = new DescriptorLedger(this.sys);
    const logs = startLogging(VIRTLOCKD, this.sys);
    logs.setOutputs(`1:file:${this.scratch.file("log")}`);
    const user = {
      XDG_RUNTIME_DIR: this.scratch.path,
      XDG_CONFIG_HOME: this.scratch.path,
      XDG_CACHE_HOME: this.scratch.path,
    };
    const parts = {
      sys: this.sys,
      self: { path: "/nowhere", argv: ["/nowhere"], base: ["/nowhere"], env: [] },
      options: { daemon: false, verbose: false, config: undefined, timeout, pidFile: undefined },
      env: user,
      cwd: "/",
      report: new StartReport(this.sys, undefined),
      complaints: [],
      mistakes: [],
      atStake: () => false,
    };
    const beginning = readStart(parts);
    Deno.mkdirSync(beginning.context.paths.runDir, { recursive: true });
    const log = getLog("locking.lock_daemon", "life_stage.ts");
    const service = {
      notify: undefined as NotifySocket | undefined,
      notifyAddress,
      env: env ?? {},
      variables: {},
      doubt: undefined,
    };
    const send = (lines: readonly string[]) => this.#take(lines);
    const safety = new CrashSafety({
      sys: this.sys,
      loop,
      ledger,
      log,
      env: service.env,
      journalDir: lockPaths(beginning.context.paths).journalDir,
      cwd: "/",
      notify: env === undefined ? undefined : { fd: this.#ends[0], send },
      doubt: undefined,
      returned: [],
      handed: undefined,
      limits: [1024, 5000].map((maxClients) => ({ maxClients, maxAnonymousClients: maxClients })),
    });
    this.found = {
      parts,
      logs,
      log,
      beginning,
      prepared: { loop, ledger, pidFile: undefined },
      service,
      safety,
    };
  }

  /** The parts, made. */
  build(): Built {
    return build(this.found);
  }

  /** Has a disk locked for {@link OWNER}. @returns its path */
  lock({ daemon }: Built): string {
    const path = this.scratch.write("disk");
    const refusals: unknown[] = [];
    daemon.table.acquire("", path, { shared: false, autocreate: false }, OWNER, (refusal) => {
      refusals.push(refusal);
    });
    assert.deepEqual(refusals, [undefined]);
    return path;
  }

  /** Sends a signal, which is taken in the next turn of the loop. */
  signal(signal: number): void {
    this.signals.push({ signal, pid: 1, uid: 0 });
    kernel.write(this.#signalEnds[1], new Uint8Array(1));
    this.found.prepared.loop.turn(0);
  }

  /** What was told since this was asked last. */
  since(): string[] {
    return this.told.splice(0);
  }

  /** The text of each line of the log. */
  get logged(): string[] {
    return readFileSync(this.scratch.file("log"), "utf8").trim().split("\n").map((line) =>
      line.replace(/^.* : [a-z_.]+ : /, "")
    );
  }

  [Symbol.dispose](): void {
    const { loop, ledger } = this.found.prepared;
    this.found.logs.close();
    for (const [fd] of [...ledger.entries()]) if (!loop.descriptors.includes(fd)) ledger.close(fd);
    loop.close();
    for (const fd of this.#ends) kernel.close(fd);
    kernel.close(this.#signalEnds[1]);
    this.scratch[Symbol.dispose]();
  }

  /** Not root's, so that no path is the host's; the test's own signals are left alone. */
  #played(cgroup: string): Sys {
    return {
      ...kernel,
      uid: () => 1000,
      signalfd: () => this.#signalEnds[0],
      readSignal: (fd, into) => {
        const next = this.signals.shift();
        if (next === undefined) return -EAGAIN;
        kernel.read(fd, new Uint8Array(1));
        Object.assign(into, next);
        return 1;
      },
      open: (path, flags, mode) => {
        if (path !== "/proc/self/cgroup") return kernel.open(path, flags, mode);
        if (cgroup === "") return -ENOENT;
        const fd = kernel.eventfd();
        this.#cgroup.push(fd);
        return fd;
      },
      read: (fd, into) => {
        if (!this.#cgroup.includes(fd)) return kernel.read(fd, into);
        this.#cgroup.splice(0);
        const text = encodeText(cgroup);
        into.set(text);
        return text.length;
      },
    };
  }

  #take(lines: readonly string[]): "sent" {
    const name = lines.find((line) => line.startsWith("FDNAME="))?.slice("FDNAME=".length);
    const shown = lines.filter((line) => !/^(?:MAINPID|MONOTONIC_USEC)=/.test(line)).join(" ");
    this.told.push(name === undefined ? shown : lines[0] === "FDSTORE=1" ? `store ${name}` : `drop ${name}`);
    return "sent";
  }
}

function pair(): [number, number] {
  const ends = kernel.socketPair(SOCK_DGRAM);
  assert.ok(typeof ends !== "number");
  return ends;
}
