import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { startLogging } from "../../../../src/chassis/start/start.ts";
import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import { PID_FILE } from "../../../../src/lockd/handover/kept_descriptors.ts";
import { type Prepared, prepareProcess } from "../../../../src/lockd/life/prepare_process.ts";
import type { Beginning } from "../../../../src/lockd/life/read_start.ts";
import type { RestartState } from "../../../../src/lockd/restart/state.ts";
import { EPERM } from "../../../../src/os/errno.ts";
import { O_CREAT, O_RDWR } from "../../../../src/os/constants.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { LifeStage } from "./life_stage.ts";

/** A process that is being made a daemon. What would change the test's own is only noted. */
class Stage implements Disposable {
  readonly life = new LifeStage();
  readonly changed: string[] = [];
  readonly unfinished: (() => void)[] = [];
  readonly complaints: string[] = [];
  readonly logs = startLogging(VIRTLOCKD, this.life.sys);
  readonly #prepared: Prepared[] = [];
  fileLimit: [number, number] | number = [1024, 4096];

  prepare(beginning: Partial<Beginning> = {}, daemon = false): Prepared {
    const { found } = this.life;
    const context = {
      ...found.beginning.context,
      sys: this.#played(),
      options: { ...found.beginning.context.options, daemon },
    };
    const parts = { ...found.beginning, complaints: this.complaints, context, ...beginning };
    const prepared = prepareProcess(parts, this.logs, this.unfinished);
    this.#prepared.push(prepared);
    return prepared;
  }

  get paths() {
    return this.life.found.beginning.context.paths;
  }

  #played(): Sys {
    const change = (what: string) => {
      this.changed.push(what);
      return 0;
    };
    return {
      ...this.life.sys,
      setThreadName: (name) => change(`name ${name}`),
      umask: (mask) => change(`umask ${mask.toString(8)}`),
      chdir: (path) => change(`chdir ${path}`),
      fileLimit: () => this.fileLimit,
      setFileLimit: (soft, hard) => change(`limit ${soft} ${hard}`),
    };
  }

  [Symbol.dispose](): void {
    this.logs.close();
    for (const { loop, ledger } of this.#prepared) {
      for (const [fd] of [...ledger.entries()]) if (!loop.descriptors.includes(fd)) ledger.close(fd);
      loop.close();
    }
    this.life[Symbol.dispose]();
  }
}

Deno.test("prepareProcess() makes the process a daemon, with a locked PID file and all descriptors it may have", () => {
  using stage = new Stage();
  const { pidFile } = stage.prepare();
  assert.deepEqual(stage.changed, ["name virtlockd", "umask 77", "limit 4096 4096"]);
  assert.equal(Deno.readTextFileSync(stage.paths.pidFile).trim(), String(kernel.pid()));
  assert.equal(pidFile?.path, stage.paths.pidFile);
  assert.deepEqual([statSync(stage.paths.runDir).mode & 0o777, stage.complaints], [0o755, []]);
  // A start that fails later leaves no PID file.
  for (const undo of stage.unfinished) undo();
  assert.equal(existsSync(stage.paths.pidFile), false);
});

Deno.test("prepareProcess() leaves the directory of whoever starts a daemon in the background", () => {
  using stage = new Stage();
  stage.prepare({}, true);
  assert.deepEqual(stage.changed.slice(0, 3), ["name virtlockd", "umask 77", "chdir /"]);
});

Deno.test("prepareProcess() takes the limit of descriptors as it is where it cannot be raised", () => {
  using stage = new Stage();
  for (const limit of [[4096, 4096], -EPERM] satisfies ([number, number] | number)[]) {
    stage.fileLimit = limit;
    const { pidFile } = stage.prepare();
    pidFile?.remove();
  }
  assert.deepEqual(stage.changed.filter((change) => change.startsWith("limit")), []);
});

Deno.test("prepareProcess() ends a second daemon, whatever is at stake", () => {
  using stage = new Stage();
  stage.prepare();
  assert.throws(() => stage.prepare({ forgive: () => true }), { name: "StartError" });
  assert.deepEqual(stage.complaints, []);
});

Deno.test("prepareProcess() goes on with the PID file that an earlier image has locked", () => {
  using stage = new Stage();
  const fd = kernel.open(stage.paths.pidFile, O_RDWR | O_CREAT, 0o644);
  const server = { maxClients: 7, maxAnonymousClients: 7, nextClientId: 1, listeners: [], clients: [] };
  const handed: RestartState = {
    pid: kernel.pid(),
    servers: { virtlockd: server, admin: server },
    lockspaces: [],
    nextResourceId: 1,
    extension: {
      dying: [],
      parked: [],
      kept: [{ purpose: PID_FILE, fd }],
      settings: {},
      cwd: "/",
      statistics: {},
      journal: null,
      notify: null,
    },
  };
  const { pidFile } = stage.prepare({ handed, forgive: () => true });
  assert.equal(pidFile?.fd, fd);
});
