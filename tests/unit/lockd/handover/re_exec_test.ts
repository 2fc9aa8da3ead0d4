import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import type { Daemon } from "../../../../src/lockd/daemon/daemon.ts";
import { ReExec, type ReExecParts } from "../../../../src/lockd/handover/re_exec.ts";
import { StateFile } from "../../../../src/lockd/restart/state_file.ts";
import type { DaemonExtension } from "../../../../src/lockd/restart/state.ts";
import { EACCES } from "../../../../src/os/errno.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { closeParts, daemonParts } from "../../../support/daemon_parts.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { PATIENCE_MS } from "../../../support/until.ts";
import { Scratch } from "../../../support/scratch.ts";
import { standingTime } from "../../../support/standing_time.ts";

const EXTENSION: DaemonExtension = {
  dying: [],
  parked: [],
  kept: [],
  settings: {},
  cwd: "/",
  statistics: {},
  journal: null,
  notify: null,
};
const OURS = "echo 'virtlockd (deno-virtlockd) 9.9.9'";
const LIBVIRT = "echo '/usr/sbin/virtlockd (libvirt) 9.0.0'";

/** A daemon that is asked to execute a program which the test writes. Executing it is only played. */
class Stage implements Disposable {
  readonly scratch = new Scratch();
  readonly program = this.scratch.file("virtlockd");
  readonly state = this.scratch.file("virtlockd-restart-exec.json");
  /** What happened, in order. */
  readonly told: string[] = [];
  /** What the program was executed with. */
  variables: readonly string[] = [];
  readonly daemon: Daemon;
  readonly reExec: ReExec;
  #ended = false;

  /** @param script what the program does */
  constructor(script: string, parts: Partial<ReExecParts> = {}) {
    Deno.writeTextFileSync(this.program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const execve: Sys["execve"] = (path, argv, env) => {
      this.variables = env;
      const written = existsSync(this.state) ? "a state" : "nothing";
      this.told.push(`exec ${path === this.program} ${argv.join(" ")} with ${written}`);
      return -EACCES;
    };
    this.daemon = daemonParts({
      ...standingTime(kernel),
      execve,
      // The test's own signals are left alone.
      ignoreSignals: () => 0,
      unblockSignals: () => 0,
      blockSignals: () => 0,
    });
    this.reExec = new ReExec({
      daemon: this.daemon,
      self: { path: this.program, base: ["virtlockd"], argv: ["virtlockd", "--verbose"], env: [] },
      stateFile: new StateFile(kernel, this.state),
      extension: () => EXTENSION,
      configurationFault: () => undefined,
      locks: {
        prepare: (done) => done(),
        give: () => void this.told.push("locks given"),
        take: () => void this.told.push("locks taken back"),
      },
      leaveStore: (done) => {
        this.told.push("store left");
        done(undefined);
      },
      watched: undefined,
      stayed: () => {
        this.told.push("stayed");
        this.#ended = true;
      },
      announce: (what) => void this.told.push(what),
      ...parts,
    });
  }

  /** Asks for it, and waits until it was in vain. @returns why */
  inVain(): string | undefined {
    this.reExec.request();
    const end = kernel.monotonic() + PATIENCE_MS;
    while (!this.#ended && kernel.monotonic() < end) this.daemon.loop.turn(1000);
    return this.daemon.metrics.lastReExecFailure;
  }

  [Symbol.dispose](): void {
    closeParts(this.daemon);
    this.scratch[Symbol.dispose]();
  }
}

const STRANGERS: readonly [what: string, script: string, why: string][] = [
  ["of something else", "echo 'bash 5'", "it is not a virtlockd: --version says 'bash 5'"],
  ["that fails", "echo broken >&2; exit 3", "with --version it ended with code 3: broken"],
  ["that fails without a word", "exit 3", "with --version it ended with code 3 and said nothing"],
  ["that is killed", "kill -KILL $$", "it was killed by signal 9"],
  [
    "of ours that does not understand the state",
    `case $1 in --version) ${OURS};; *) echo 'too new'; exit 1;; esac`,
    "it does not understand the state: too new",
  ],
  [
    "that passes for ours",
    OURS,
    "it does not take over everything, 0 clients, 0 locks: virtlockd (deno-virtlockd) 9.9.9",
  ],
  [
    "of ours that overlooks something",
    `case $1 in --version) ${OURS};; *) echo '1 client, 0 locks';; esac`,
    "it does not take over everything, 0 clients, 0 locks: 1 client, 0 locks",
  ],
];
for (const [what, script, why] of STRANGERS) {
  Deno.test(`ReExec executes no program ${what}, and says why`, () => {
    const before = openDescriptors();
    {
      using stage = new Stage(script);
      assert.equal(stage.inVain(), why);
      assert.deepEqual(stage.told, ["stayed"]);
      assert.deepEqual([existsSync(stage.state), existsSync(`${stage.state}.check`)], [false, false]);
    }
    assert.deepEqual(openedSince(before), []);
  });
}

Deno.test("ReExec shows the state to the new program before it executes it, and goes on when that fails", () => {
  using stage = new Stage("");
  const seen = stage.scratch.file("seen");
  const script =
    `case $1 in --version) ${OURS};; internal-check-state) cat "$2" >${seen}; echo '0 clients, 0 locks';; esac`;
  Deno.writeTextFileSync(stage.program, `#!/bin/sh\n${script}\n`);
  assert.match(stage.inVain() ?? "", /^execve \/.*\/virtlockd: Permission denied/);
  assert.deepEqual(stage.told, [
    "leaving",
    "exec true virtlockd --verbose with a state",
    "locks taken back",
    "staying",
    "stayed",
  ]);
  assert.equal(JSON.parse(readFileSync(seen, "utf8")).magic, String(Deno.pid));
  assert.deepEqual([existsSync(stage.state), existsSync(`${stage.state}.check`)], [false, false]);
});

Deno.test("ReExec asks for room for what is made of a large state, and of no other, and not for libvirt's daemon", () => {
  const ours = `case $1 in --version) ${OURS};; *) echo '0 clients, 0 locks';; esac`;
  const variables = (script: string, bytes: number) => {
    using stage = new Stage(script, { extension: () => ({ ...EXTENSION, cwd: `/${"x".repeat(bytes)}` }) });
    assert.match(stage.inVain() ?? "", /^execve /);
    return stage.variables;
  };
  assert.deepEqual(variables(ours, 5_000_000), []);
  assert.deepEqual(variables(ours, 9_000_000), ["DENO_V8_FLAGS=--initial-old-space-size=72"]);
  assert.deepEqual(variables(LIBVIRT, 9_000_000), []);
  // As a runtime does that is upgraded with it: it would not start with what it does not know.
  const strange =
    `case $1 in --version) ${OURS};; *) [ -z "$DENO_V8_FLAGS" ] || exit 1; echo '0 clients, 0 locks';; esac`;
  assert.deepEqual(variables(strange, 9_000_000), []);
});

Deno.test("ReExec hands to libvirt's daemon what that understands, and takes it back when it is not executed", () => {
  using stage = new Stage(LIBVIRT);
  assert.match(stage.inVain() ?? "", /^execve /);
  assert.deepEqual(stage.told, [
    "store left",
    "locks given",
    "exec true virtlockd --verbose with a state",
    "locks taken back",
    "staying",
    "stayed",
  ]);
});

Deno.test("ReExec does not hand over while the store keeps copies, or locks cannot be given", () => {
  using kept = new Stage(LIBVIRT, { leaveStore: (done) => done("systemd keeps its copies") });
  assert.equal(kept.inVain(), "systemd keeps its copies");
  assert.deepEqual(kept.told, ["stayed"]);
  const locks = { prepare: (done: () => void) => done(), give: () => "one is in doubt", take: () => {} };
  using doubtful = new Stage(LIBVIRT, { locks });
  assert.equal(doubtful.inVain(), "one is in doubt");
  assert.deepEqual(doubtful.told, ["store left", "stayed"]);
});

Deno.test("ReExec is asked once at a time, and again when the first was in vain", () => {
  using stage = new Stage("echo x; exit 1");
  stage.reExec.request();
  assert.equal(stage.inVain(), "with --version it ended with code 1: x");
  assert.equal(stage.daemon.metrics.counts.reExecFailures, 1);
  stage.reExec.request();
  stage.reExec.abandon();
  assert.equal(existsSync(`${stage.state}.check`), false);
});
