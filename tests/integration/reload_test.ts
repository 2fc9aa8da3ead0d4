import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { VERSION } from "../../src/chassis/config/build_config.ts";
import type { StatusDocument } from "../../src/lockd/status/status_document.ts";
import { Daemon, isListening } from "../support/daemon.ts";
import { lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { replaceProgram, writeProgram } from "../support/program_file.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";

/** A daemon of a program that can be replaced, with a lock. */
class Reloaded implements AsyncDisposable {
  private constructor(
    readonly place: Place,
    readonly program: string,
    readonly daemon: Daemon,
    readonly client: LockClient,
    readonly disk: string,
  ) {}

  static async start(): Promise<Reloaded> {
    const place = Place.create();
    const program = `${place.directory}/virtlockd`;
    writeProgram(program);
    const daemon = await Daemon.start({ place, program });
    const disk = `${place.directory}/disk`;
    Deno.writeTextFileSync(disk, "");
    const client = await LockClient.connect(daemon.socket);
    await client.register(testOwner(5_000_001, "web"));
    await client.acquire("", disk);
    return new Reloaded(place, program, daemon, client, disk);
  }

  async reload(env: Record<string, string> = {}, ...args: string[]) {
    const { code, stdout, stderr } = await Daemon.run({ args: ["reload", ...args], place: this.place, env });
    return { code, said: stdout + stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.daemon[Symbol.asyncDispose]();
    this.place[Symbol.dispose]();
  }
}

Deno.test("reload executes the program anew, waits until it serves, and tells which one it is", async () => {
  await using stage = await Reloaded.start();
  const { daemon, disk } = stage;
  assert.deepEqual(await stage.reload(), {
    code: 0,
    said: `virtlockd ${VERSION} has taken over (process ${daemon.pid})\n`,
  });
  assert.equal(lockOn(disk).mode, "exclusive");
  // The command that has asked for it may still be connected.
  await daemon.log.match(
    /warning : .*goes on after a reload. Took over (1 client|2 clients) and 1 lock of the guest 'web'/,
  );
  // As the service manager names the process.
  const { code } = await stage.reload({ MAINPID: String(daemon.pid) });
  assert.equal(code, 0);
  const status: StatusDocument = JSON.parse((await daemon.command("status", "--json")).stdout);
  assert.deepEqual([status.reExecs, status.reExecFailures], [2, 0]);
});

Deno.test("reload fails with the reason when the new program is refused, and everything goes on", async () => {
  await using stage = await Reloaded.start();
  const { daemon, disk, program } = stage;
  const refusals: readonly [text: string, mode: number, reason: string][] = [
    ["#!/bin/sh\necho broken >&2\nexit 4\n", 0o755, "with --version it ended with code 4: broken"],
    ["#!/bin/sh\nexit 1\n", 0o755, "with --version it ended with code 1 and said nothing"],
    ["#!/bin/sh\necho cat 1.0\n", 0o755, "it is not a virtlockd: --version says 'cat 1.0'"],
    ["#!/bin/sh\n", 0o644, `posix_spawn ${program}: Permission denied (EACCES)`],
  ];
  for (const [text, mode, reason] of refusals) {
    replaceProgram(program, text, mode);
    assert.deepEqual(await stage.reload(), {
      code: 1,
      said:
        `virtlockd: error: The new program was not executed, and virtlockd ${VERSION} goes on with every ` +
        `lock: ${reason}\n`,
    });
    assert.equal(lockOn(disk).mode, "exclusive");
  }
  const { stdout } = await daemon.command("status");
  assert.match(stdout, /^reload given up: +posix_spawn .*Permission denied/m);
  assert.match((await daemon.command("metrics")).stdout, /^virtlockd_reexec_failures_total 4$/m);
  writeProgram(program);
  assert.equal((await stage.reload()).code, 0);
});

Deno.test("reload finds a daemon with another PID file by its admin socket", async () => {
  using place = Place.create();
  await using daemon = await Daemon.start({ place, args: ["--pid-file", `${place.directory}/other.pid`] });
  const { code, stdout, stderr } = await Daemon.run({ args: ["reload"], place });
  assert.deepEqual([code, stdout, stderr], [
    0,
    `virtlockd ${VERSION} has taken over (process ${daemon.pid})\n`,
    "",
  ]);
});

Deno.test("reload starts no daemon where one would be started for whoever connects, whoever else runs", async () => {
  using elsewhere = Place.create();
  using place = Place.create();
  await using _other = await Daemon.start({ place: elsewhere });
  Deno.mkdirSync(place.paths.runDir, { recursive: true, mode: 0o700 });
  const started = `${place.directory}/started`;
  const { adminSocket } = place.paths;
  // As the service manager does with a daemon's sockets.
  await using _activation = new TestProcess(
    ["systemd-socket-activate", "-l", adminSocket, "touch", started],
    place.env,
    place.directory,
  );
  await until("the socket to be there", () => isListening(adminSocket));
  const { code, stderr } = await Daemon.run({ args: ["reload"], place });
  assert.deepEqual([code, stderr], [
    1,
    "virtlockd: error: No virtlockd is running: there is nothing to reload, the next client starts the " +
    "program that is installed\n",
  ]);
  assert.equal(existsSync(started), false);
  // Anybody who connects does.
  (await Deno.connect({ transport: "unix", path: adminSocket })).close();
  await until("it to be started", () => existsSync(started));
});

Deno.test("reload signals nothing that is no virtlockd", async () => {
  using place = Place.create();
  const run = async (env: Record<string, string>, ...args: string[]) => {
    const { code, stderr } = await Daemon.run({ args: ["reload", ...args], place, env });
    return { code, stderr };
  };
  const none = {
    code: 1,
    stderr:
      "virtlockd: error: No virtlockd is running: there is nothing to reload, the next client starts the " +
      "program that is installed\n",
  };
  assert.deepEqual(await run({}), none);
  assert.deepEqual(await run({ MAINPID: "0" }), none);
  const stranger = new Deno.Command("sleep", { args: ["60"] }).spawn();
  try {
    assert.deepEqual(await run({}, "--pid", String(stranger.pid)), {
      code: 1,
      stderr: `virtlockd: error: Process ${stranger.pid} is no virtlockd but sleep: nothing was signalled\n`,
    });
    const wrong = await run({}, "--pid", "x");
    assert.match(wrong.stderr, /Option "--pid" needs the number of a process, got "x"/);
  } finally {
    stranger.kill();
    await stranger.status;
  }
});

Deno.test("reload says so when the daemon ends instead", async () => {
  await using stage = await Reloaded.start();
  const { daemon, program } = stage;
  // It passes for one of ours until it is executed in the daemon's place.
  Deno.copyFileSync(program, `${program}.works`);
  replaceProgram(
    program,
    `#!/bin/sh\ncase "$1" in --version | internal-*) exec '${program}.works' "$@";; *) exit 5;; esac\n`,
  );
  const { code, said } = await stage.reload();
  assert.equal(code, 1);
  assert.match(said, new RegExp(`virtlockd \\(process ${daemon.pid}\\) has ended instead of executing`));
});

Deno.test("reload executes nothing while the configuration is wrong, and the old settings stay", async () => {
  await using stage = await Reloaded.start();
  const { daemon, disk, place } = stage;
  place.writeConfig('max_clients = "five"\n');
  const { code, said } = await stage.reload();
  assert.equal(code, 1);
  assert.match(
    said,
    /^virtlockd: error: Nothing was reloaded, virtlockd goes on with its old settings: \S+virtlockd\.conf:1: expected an integer /,
  );
  place.writeConfig(`log_outputs = "1:file:${place.directory}/nowhere/x.log"\n`);
  assert.match(
    (await stage.reload()).said,
    /:1: a log output cannot be opened: open \S+\/nowhere\/x\.log: No such file/,
  );
  const status: StatusDocument = JSON.parse((await daemon.command("status", "--json")).stdout);
  assert.deepEqual([status.reExecs, status.servers[0]?.clientsMax], [0, 1024]);
  assert.equal(lockOn(disk).mode, "exclusive");
  place.writeConfig("max_clients = 9\n");
  assert.equal((await stage.reload()).code, 0);
});
