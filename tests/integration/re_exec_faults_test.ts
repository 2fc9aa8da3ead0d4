import assert from "node:assert/strict";
import { Daemon } from "../support/daemon.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { openDescriptors } from "../support/process_usage.ts";
import { replaceProgram, writeProgram } from "../support/program_file.ts";
import { reExec, refusedReExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";
import { testProgram } from "../support/programs.ts";

const FAULTY = testProgram(new URL("../support/fault_main.ts", import.meta.url));
const OWNER = testOwner(5_000_001, "alpha");
const VERSION_LINE = "virtlockd (deno-virtlockd) 9.9.9";

/** A daemon with a client and a lock, that must outlive whatever goes wrong. */
class Survivor implements AsyncDisposable {
  private constructor(readonly daemon: Daemon, readonly client: LockClient, readonly disk: string) {}

  static async start(options: Parameters<typeof Daemon.start>[0]): Promise<Survivor> {
    const daemon = await Daemon.start({ ...options, args: ["-v"] });
    const disk = `${daemon.place.directory}/disk`;
    Deno.writeTextFileSync(disk, "");
    const client = await LockClient.connect(daemon.socket);
    await client.register(OWNER);
    await client.acquire("", disk);
    return new Survivor(daemon, client, disk);
  }

  /** A re-exec that has to be given up, with everything as it was before. @returns the logged reason */
  async refuse(): Promise<string> {
    const { daemon, client, disk } = this;
    const descriptors = openDescriptors(daemon.pid);
    const reason = await refusedReExec(daemon);
    assert.deepEqual(lockOn(disk), { mode: "exclusive", pid: -1 });
    await client.createLockspace("");
    await until("its descriptors to be closed", () => openDescriptors(daemon.pid) <= descriptors);
    const state = daemon.place.paths.restartState;
    for (const suffix of ["", ".new", ".check"]) assert.ok(kernel.access(state + suffix, 0) < 0, suffix);
    return reason;
  }

  /** A re-exec that works now. */
  async succeed(): Promise<void> {
    await reExec(this.daemon, () => assert.equal(lockOn(this.disk).mode, "exclusive"));
    await this.client.release("", this.disk);
    await this.client.acquire("", this.disk);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.daemon[Symbol.asyncDispose]();
  }
}

const CALLS: Record<string, readonly [errno: number, reason: RegExp]> = {
  pipe: [24, /Too many open files/],
  spawn: [11, /Resource temporarily unavailable/],
  write: [28, /virtlockd-restart-exec\.json.*: No space left on device/],
  rename: [28, /virtlockd-restart-exec\.json.*: No space left on device/],
  fcntl: [9, /Bad file descriptor/],
  execve: [8, /Exec format error/],
};
for (const [call, [errno, wanted]] of Object.entries(CALLS)) {
  Deno.test(`a re-exec in which ${call} fails is given up, and a later one works`, async () => {
    using place = Place.create();
    const faults = place.makeDirectory("faults");
    await using survivor = await Survivor.start({ place, entry: FAULTY, env: { FAULTS: faults } });
    Deno.writeTextFileSync(`${faults}/${call}`, String(errno));
    for (let round = 0; round < 2; round++) assert.match(await survivor.refuse(), wanted);
    Deno.removeSync(`${faults}/${call}`);
    await survivor.succeed();
  });
}

Deno.test("a re-exec without a writable run directory is given up, and a later one works", async () => {
  using place = Place.create();
  const program = `${place.directory}/virtlockd`;
  writeProgram(program);
  await using survivor = await Survivor.start({ place, program });
  const directory = `${place.directory}/run/libvirt`;
  Deno.chmodSync(directory, 0o500);
  assert.match(await survivor.refuse(), /virtlockd-restart-exec\.json.*: Permission denied/);
  Deno.chmodSync(directory, 0o700);
  await survivor.succeed();
});

Deno.test("a link that was planted where the state goes is not followed", async () => {
  using place = Place.create();
  const victim = `${place.directory}/victim`;
  Deno.writeTextFileSync(victim, "precious");
  await using survivor = await Survivor.start({ place });
  const state = place.paths.restartState;
  for (const suffix of ["", ".new", ".check", ".check.new"]) Deno.symlinkSync(victim, state + suffix);
  await survivor.succeed();
  assert.equal(Deno.readTextFileSync(victim), "precious");
});

const PROGRAMS: Record<string, readonly [text: string, mode: number, reason: RegExp]> = {
  "is not executable": ["#!/bin/sh\n", 0o644, /Permission denied/],
  "has an interpreter that is missing": ["#!/nowhere/sh\n", 0o755, /No such file or directory/],
  "is not a program": ["\x7fELF and nothing else", 0o755, /Exec format error/],
  "is empty": ["", 0o755, /Exec format error|it is not a virtlockd/],
  "is another program": ["#!/bin/sh\necho hello\n", 0o755, /it is not a virtlockd: --version says 'hello'/],
  "says nothing": ["#!/bin/sh\n", 0o755, /it is not a virtlockd: --version says ''/],
  "fails": ["#!/bin/sh\necho broken >&2\nexit 4\n", 0o755, /with --version it ended with code 4: broken/],
  "is killed": ["#!/bin/sh\nkill -SEGV $$\n", 0o755, /it was killed by signal 11/],
  "writes without end": ["#!/bin/sh\nexec cat /dev/zero\n", 0o755, /it wrote 65536 bytes and more/],
  "does not understand the state": [
    `#!/bin/sh\n[ "$1" = --version ] && echo '${VERSION_LINE}' && exit 0\necho 'daemon.servers: strange'\nexit 1\n`,
    0o755,
    /it does not understand the state: daemon\.servers: strange/,
  ],
};
Deno.test("a program that cannot take over is not exec'd, and a later one is", async () => {
  using place = Place.create();
  const program = `${place.directory}/virtlockd`;
  writeProgram(program);
  await using survivor = await Survivor.start({ place, program });
  Deno.removeSync(program);
  assert.match(await survivor.refuse(), /No such file or directory/);
  for (const [name, [text, mode, wanted]] of Object.entries(PROGRAMS)) {
    replaceProgram(program, text, mode);
    assert.match(await survivor.refuse(), wanted, `a program that ${name}`);
  }
  writeProgram(program);
  await survivor.succeed();
});
