import assert from "node:assert/strict";
import { connect } from "node:net";
import { encodeFrame, MessageType } from "../../src/chassis/wire/frame.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { ClientEntry, LockEntry, StatusDocument } from "../../src/lockd/status/status_document.ts";
import {
  decodePage,
  encodePageArgs,
  STATUS_PROGRAM,
  StatusProcedure,
} from "../../src/lockd/wire/status_protocol.ts";
import { Daemon } from "../support/daemon.ts";
import { heldUp } from "../support/held_up.ts";
import { Holder } from "../support/holder.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { processFile } from "../support/process_usage.ts";
import { RawClient } from "../support/raw_client.ts";
import type { TestProcess } from "../support/test_process.ts";
import { testProgram } from "../support/programs.ts";

const AUTOCREATE = 2;
const SHARED = 1;
/** No process has it: the kernel's largest is 4,194,304. */
const NO_PROCESS = 5_004_242;
/** What is said of such an owner. */
const UNJUDGED = "whether its owner lives cannot be told";

/** A client that has taken exclusive `a` and shared `b` in a new lockspace. */
async function lockedClient(daemon: Daemon): Promise<{ client: LockClient; lockspace: string }> {
  const lockspace = `${daemon.place.directory}/locks`;
  const client = await LockClient.connect(daemon.socket);
  await client.createLockspace(lockspace);
  await client.register(testOwner(NO_PROCESS));
  await client.acquire(lockspace, "a", AUTOCREATE);
  await client.acquire(lockspace, "b", AUTOCREATE | SHARED);
  return { client, lockspace };
}

Deno.test("locks lists who holds what, for people and for programs", async () => {
  await using daemon = await Daemon.start();
  const before = Date.now();
  const { client, lockspace } = await lockedClient(daemon);
  await using _client = client;
  const after = Date.now();
  const told = await daemon.command("locks", "--json");
  assert.equal(told.code, 0, told.stderr);
  const locks: LockEntry[] = JSON.parse(told.stdout);
  const { uuid, name, id, pid } = testOwner(NO_PROCESS);
  const since = locks[0]?.holders[0]?.since ?? 0;
  assert.equal(before <= since && since <= after, true);
  assert.deepEqual(locks[0], {
    id: 1,
    lockspace,
    resource: "a",
    path: `${lockspace}/a`,
    file: locks[0]?.file,
    mode: "exclusive",
    autocreate: true,
    state: "held",
    kind: "ofd",
    holders: [{ domain: name, uuid, id, pid, process: "unjudged", sinceMs: since, since, times: 1 }],
  });
  const [, inode] = /^[0-9a-f]{2,}:[0-9a-f]{2,}:(\d+)$/.exec(locks[0]?.file ?? "") ?? [];
  assert.equal(Number(inode), Deno.statSync(`${lockspace}/a`).ino);
  assert.deepEqual(locks.map(({ resource, mode }) => [resource, mode]), [["a", "exclusive"], [
    "b",
    "shared",
  ]]);
  const shown = await daemon.command("locks", "--domain", name, "--path", "*/b");
  assert.equal(shown.code, 0);
  const lines = shown.stdout.trimEnd().split("\n");
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? "", /^LOCKSPACE +RESOURCE +MODE +DOMAIN +UUID +PID +SINCE +STATE$/);
  assert.match(
    lines[1] ?? "",
    new RegExp(`^${lockspace} +b +shared +${name} +${uuid} +${NO_PROCESS} +.*Z +held \\(${UNJUDGED}\\)$`),
  );
  assert.equal(
    (await daemon.command("locks", "--domain", "nobody")).stdout,
    "None of the 2 locks is what was asked for.\n",
  );
});

Deno.test("locks lists more locks than fit on one page", async () => {
  await using daemon = await Daemon.start();
  const { client, lockspace } = await lockedClient(daemon);
  await using _client = client;
  for (let index = 0; index < 600; index++) await client.acquire(lockspace, `r${index}`, AUTOCREATE);
  const locks: LockEntry[] = JSON.parse((await daemon.command("locks", "--json")).stdout);
  assert.equal(new Set(locks.map(({ resource }) => resource)).size, 602);
});

Deno.test("the list of locks shows a holder that is being killed", async () => {
  await using daemon = await Daemon.start();
  const { client, lockspace } = await lockedClient(daemon);
  await using _client = client;
  await using holder = await Holder.start(daemon);
  await holder.ignoreTermination();
  await holder.acquire(lockspace, "disk", AUTOCREATE);
  using admin = RawClient.connect(daemon.adminSocket);
  const listed = () => {
    const page = new XdrWriter();
    encodePageArgs(page, { flags: 0, cursor: "", limit: 0 });
    const { CALL } = MessageType;
    const call = { program: STATUS_PROGRAM, version: 1, procedure: StatusProcedure.LIST_LOCKS, type: CALL };
    admin.send(encodeFrame({ ...call, serial: 1, status: 0 }, page.copy()));
    return () => {
      const locks: LockEntry[] = JSON.parse(decodePage(new XdrReader(admin.receive().payload)).json);
      return locks.find(({ resource }) => resource === "disk");
    };
  };
  assert.equal(listed()()?.state, "held");
  // The holder has 1.6 s: the daemon is asked again and again around the moment in which it sees the end of
  // the connection.
  let state = "held";
  await heldUp(daemon, () => holder.disconnected());
  while (state === "held") state = listed()()?.state ?? "gone";
  assert.equal(state, "holder being killed");
  assert.equal(await holder.endedBy(), "SIGKILL");
});

Deno.test("locks --watch shows each change, and ends when the daemon does", async () => {
  await using daemon = await Daemon.start();
  const { client, lockspace } = await lockedClient(daemon);
  await using _client = client;
  const before = Date.now();
  await using watching = daemon.startCommand("locks", "--watch", "--json");
  await using reading = daemon.startCommand("locks", "--watch", "--path", "*/[ac]");
  await Promise.all([watching.stdout.match(/"resource":"b".*\n/), reading.stdout.match(/\n/)]);
  await client.acquire(lockspace, "c", AUTOCREATE);
  await Promise.all([watching.stdout.match(/\n.*"resource":"c".*\n/), reading.stdout.match(/\/c, .*\n/)]);
  await client.release(lockspace, "a");
  await Promise.all([watching.stdout.match(/"-".*\n/), reading.stdout.match(/released\n/)]);
  const lines = watching.stdout.text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ change, lock }) => [change, lock.resource, lock.holders.length]), [
    ["+", "a", 1],
    ["+", "b", 1],
    ["+", "c", 1],
    ["-", "a", 1],
  ]);
  assert.equal(lines.every(({ atMs }) => before <= atMs && atMs <= Date.now()), true);
  const { name, uuid } = testOwner(NO_PROCESS);
  const holder = `domain '${name}' (uuid ${uuid}, pid ${NO_PROCESS})`;
  assert.deepEqual(reading.stdout.text.replace(/^.{20} /gm, "").trimEnd().split("\n"), [
    `+ ${lockspace}/a, exclusive, ${holder}, ${UNJUDGED}: held`,
    `+ ${lockspace}/c, exclusive, ${holder}, ${UNJUDGED}: held`,
    `- ${lockspace}/a, exclusive, ${holder}, ${UNJUDGED}: released`,
  ]);
  await daemon.kill();
  assert.deepEqual(await watching.wait(), { code: 2, signal: null });
  assert.equal(
    watching.stderr.text,
    `virtlockd: error: The daemon at ${daemon.adminSocket} closed the connection\n`,
  );
});

Deno.test("a command whose output nobody reads ends quietly", async () => {
  await using daemon = await Daemon.start();
  const { client, lockspace } = await lockedClient(daemon);
  await using _client = client;
  for (let index = 0; index < 600; index++) await client.acquire(lockspace, `r${index}`, AUTOCREATE);
  const program = testProgram(new URL("../support/virtlockd_main.ts", import.meta.url));
  for (const command of ["locks --json", "locks --watch"]) {
    // 600 locks are more than a pipe holds, so the writer notices.
    const pipeline = `"$0" run -A "$1" ${command} | head -c 1 >/dev/null; echo "\${PIPESTATUS[@]}"`;
    const run = new Deno.Command("bash", {
      args: [
        "-c",
        `exec ${daemon.place.command(["bash", "-c"]).join(" ")} '${pipeline}' "$0" "$1"`,
        Deno.execPath(),
        program,
      ],
      env: { ...daemon.place.env },
      clearEnv: true,
    });
    const { stdout, stderr } = await run.output();
    assert.deepEqual([stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)), ["0 0\n", ""]);
  }
});

Deno.test("clients and status tell what the daemon knows", async () => {
  await using daemon = await Daemon.start();
  const { client } = await lockedClient(daemon);
  await using _client = client;
  const clients: ClientEntry[] = JSON.parse((await daemon.command("clients", "--json")).stdout);
  assert.deepEqual(
    clients.map(({ server, id, pid, owner, restricted }) => [server, id, pid, owner?.pid, restricted]),
    [
      ["virtlockd", 1, Deno.pid, NO_PROCESS, false],
      ["admin", 1, clients[1]?.pid, undefined, undefined],
    ],
  );
  assert.match((await daemon.command("clients")).stdout, /^virtlockd +1 +\d+ +deno .* guest-5004242 /m);
  const status: StatusDocument = JSON.parse((await daemon.command("status", "--json")).stdout);
  assert.equal(status.pid, daemon.pid);
  assert.equal(status.reExecs, 0);
  assert.deepEqual(status.servers, [
    { name: "virtlockd", clients: 1, clientsMax: 1024 },
    { name: "admin", clients: 1, clientsMax: 5000 },
  ]);
  const { exclusive, shared, holders } = status.locks;
  assert.deepEqual({ exclusive, shared, holders }, { exclusive: 1, shared: 1, holders: 1 });
  const descriptors = [...Deno.readDirSync(`/proc/${daemon.pid}/fd`)].length;
  assert.equal(Math.abs(status.descriptors.open - descriptors) <= 2, true);
  const shown = (await daemon.command("status")).stdout;
  assert.match(shown, new RegExp(`^pid: +${daemon.pid}$`, "m"));
});

Deno.test("metrics prints them, or replaces a file as a whole", async () => {
  await using daemon = await Daemon.start();
  const { client, lockspace } = await lockedClient(daemon);
  await using _client = client;
  const { stdout } = await daemon.command("metrics");
  for (
    const sample of [
      "virtlockd_up 1",
      `virtlockd_locks{lockspace="${lockspace}",mode="shared"} 1`,
      'virtlockd_requests_total{program="lock",procedure="AcquireResource",result="ok"} 2',
      'virtlockd_clients{server="virtlockd"} 1',
    ]
  ) assert.equal(stdout.split("\n").includes(sample), true, sample);
  const file = `${daemon.place.directory}/metrics.prom`;
  assert.deepEqual(await daemon.command("metrics", "--output", file), {
    code: 0,
    signal: null,
    stdout: "",
    stderr: "",
  });
  assert.match(Deno.readTextFileSync(file), /^virtlockd_up 1$/m);
  await daemon.kill();
  const failed = await daemon.command("metrics", "--output", file);
  assert.equal(failed.code, 2);
  assert.match(Deno.readTextFileSync(file), /^virtlockd_up 0$/m);
});

Deno.test("commands say in one line when there is no daemon", async () => {
  using place = Place.create();
  await Promise.all(["locks", "clients", "status", "metrics"].map(async (name) => {
    const { code, stdout, stderr } = await Daemon.run({ args: [name], place });
    assert.deepEqual({ code, stdout: stdout.split("\n").at(-2) ?? "", stderr }, {
      code: 2,
      // What a collector of metrics reads is that there is none.
      stdout: name === "metrics" ? "virtlockd_up 0" : "",
      stderr: `virtlockd: error: No daemon is running: nobody listens at ${place.paths.adminSocket}\n`,
    });
  }));
});

Deno.test("commands say in one line what is wrong with them", async () => {
  using place = Place.create();
  const mistakes = [
    [["lock"], 'Unknown command "lock": the commands are '],
    [["locks", "--nonsense"], 'Unknown option "--nonsense"; see '],
    [["clients", "stray"], 'Unexpected argument "stray"; see '],
    [["metrics", "--output"], 'Option "--output" needs a value; see '],
    [["release"], "RESOURCE is needed; see "],
    [["release", "a", "b"], 'Unexpected argument "b"; see '],
    [["exporter"], 'Option "--listen" is needed; see '],
    [["exporter", "--listen", "x"], 'Option "--listen" needs HOST:PORT'],
  ] as const;
  await Promise.all(mistakes.map(async ([args, message]) => {
    const { code, stdout, stderr } = await Daemon.run({ args, place });
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.equal(stderr.startsWith(`virtlockd: error: ${message}`), true, stderr);
  }));
});

Deno.test("an error is one line on standard error also with --json, and its exit status tells which kind it is", async () => {
  using place = Place.create();
  const cluster = ["--endpoints", "http://localhost:1", "--link", "/nowhere/link", "--json"];
  const failing: readonly [args: readonly string[], code: number, message: string][] = [
    [["status", "--json"], 2, "No daemon is running"],
    [["release", "/disk", "--json", "--yes"], 2, "No daemon is running"],
    [["cluster", "status", ...cluster], 2, "stat /nowhere/link"],
    [["cluster", "leave", "kvm9", ...cluster], 2, "stat /nowhere/link"],
    [["cluster", "fence", "kvm9", "--yes", ...cluster], 2, "stat /nowhere/link"],
    [["cluster", "locks", "--json"], 1, `${place.paths.config} names no cluster`],
    [["cluster", "open", "--json"], 1, 'Option "--expect" is needed'],
  ];
  await Promise.all(failing.map(async ([args, expected, message]) => {
    const { code, stdout, stderr } = await Daemon.run({ args, place });
    assert.deepEqual([code, stdout, stderr.split("\n").length], [expected, "", 2], stderr);
    assert.equal(stderr.startsWith(`virtlockd: error: ${message}`), true, stderr);
  }));
});

Deno.test("commands have help of their own", async () => {
  using place = Place.create();
  const names = ["locks", "clients", "status", "doctor", "metrics", "exporter", "release"];
  await Promise.all(names.map(async (name) => {
    const { code, stdout, stderr } = await Daemon.run({ args: [name, "--help"], place });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(stdout.startsWith(`Usage: virtlockd ${name} [OPTION]...`), true);
    assert.match(stdout, /^ {2}-c, --connect SOCKET /m);
  }));
});

Deno.test("doctor finds what is wrong on a host, and is content when it is put right", async () => {
  await using daemon = await Daemon.start();
  const root = daemon.place.makeDirectory("root");
  daemon.place.makeDirectory("root/etc/libvirt");
  const examine = () => daemon.command("doctor", "--json", "--root", root, "--connect", daemon.adminSocket);
  Deno.writeTextFileSync(`${root}/etc/libvirt/qemu.conf`, "");
  const sick = await examine();
  assert.equal(sick.code, 1);
  const problems = JSON.parse(sick.stdout).filter(({ level }: { level: string }) => level === "problem");
  assert.deepEqual(problems.map(({ check }: { check: string }) => check), ["lock manager"]);
  Deno.writeTextFileSync(`${root}/etc/libvirt/qemu.conf`, 'lock_manager = "lockd"\n');
  const well = await examine();
  assert.equal(well.code, 0, well.stdout);
  assert.match(
    (await daemon.command("doctor", "--root", root)).stdout,
    // The daemons of these tests are an ordinary user's.
    /^WARNING {2}daemon: No daemon is running/m,
  );
});

/** Starts an exporter; the port it serves at. */
async function exporter(daemon: Daemon, ...args: string[]): Promise<{ process: TestProcess; url: string }> {
  const process = daemon.startCommand("exporter", "--listen", "127.0.0.1:0", ...args);
  const [, port] = await process.stdout.match(/^Serving metrics at 127\.0\.0\.1:(\d+)\n/);
  return { process, url: `http://127.0.0.1:${port}/metrics` };
}

Deno.test("exporter serves the metrics, and says that the daemon is down when it is", async () => {
  await using daemon = await Daemon.start();
  const { process, url } = await exporter(daemon);
  await using _process = process;
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  assert.match(text, /^up 1$/m);
  assert.match(text, /^virtlockd_clients\{server="virtlockd"\} 0$/m);
  const elsewhere = await fetch(new URL("/", url));
  assert.equal(elsewhere.status, 404);
  await elsewhere.body?.cancel();
  const posted = await fetch(url, { method: "POST", body: "x" });
  assert.deepEqual([posted.status, posted.headers.get("allow")], [405, "GET"]);
  await posted.body?.cancel();
  await daemon.kill();
  const down = await fetch(url);
  assert.equal(down.status, 200);
  assert.deepEqual((await down.text()).split("\n").filter((line) => /^[a-z]/.test(line)), [
    "up 0",
    "virtlockd_up 0",
  ]);
  process.signal("SIGTERM");
  assert.deepEqual(await process.wait(), { code: 0, signal: null });
});

Deno.test("nobody hangs with a daemon that hangs", async () => {
  await using daemon = await Daemon.start();
  const { process, url } = await exporter(daemon);
  await using _process = process;
  daemon.signal("SIGSTOP");
  const status = daemon.command("status");
  const texts = await Promise.all(Array.from({ length: 8 }, async () => await (await fetch(url)).text()));
  assert.equal(texts.every((text) => /^up 0$/m.test(text)), true);
  const { code, stderr } = await status;
  assert.equal(code, 2);
  assert.equal(stderr, `virtlockd: error: The daemon at ${daemon.adminSocket} did not answer within 5 s\n`);
});

Deno.test("exporter serves on a Unix socket, takes a stale one over, and removes it at its end", async () => {
  await using daemon = await Daemon.start();
  const path = `${daemon.place.directory}/metrics.sock`;
  const get = () => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let text = "";
    const socket = connect({ path });
    socket.on("error", reject).on("data", (chunk) => text += chunk).on("close", () => resolve(text));
    socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return promise;
  };
  {
    await using killed = daemon.startCommand("exporter", "--listen", `unix:${path}`);
    await killed.stdout.match(/Serving/);
    assert.match(await get(), /^HTTP\/1\.1 200 OK\r\n/);
  }
  assert.equal(Deno.lstatSync(path).isSocket, true);
  await using process = daemon.startCommand("exporter", "--listen", `unix:${path}`);
  await process.stdout.match(/^Serving metrics at unix:.*\/metrics\.sock\n/);
  assert.match(await get(), /\nup 1\n/);
  const second = await daemon.command("exporter", "--listen", `unix:${path}`);
  assert.deepEqual([second.code, second.stderr], [
    1,
    `virtlockd: error: Listen at unix:${path}: another process listens there\n`,
  ]);
  process.signal("SIGTERM");
  assert.deepEqual(await process.wait(), { code: 0, signal: null });
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
});

Deno.test("a command that goes on for long has SIGUSR1 blocked, so that no debugger port is opened", async () => {
  await using daemon = await Daemon.start();
  const { process, url } = await exporter(daemon);
  await using _process = process;
  process.signal("SIGUSR1");
  assert.match(await (await fetch(url)).text(), /^up 1$/m);
  for (const { name } of Deno.readDirSync(`/proc/${process.pid}/task`)) {
    const status = processFile(process.pid, `task/${name}/status`);
    // The runtime ends threads that have nothing to do.
    if (status === undefined) continue;
    const blocked = /^SigBlk:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "";
    assert.equal((BigInt(`0x${blocked}`) >> 9n) & 1n, 1n);
  }
});
