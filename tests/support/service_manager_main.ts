// A stand-in for systemd, as far as a service with a descriptor store sees it: starts a daemon with
// LISTEN_FDS, keeps what it stores (sd_pid_notify_with_fds(3)), hands it back when it starts the daemon again
// after a crash. Told what to do by lines on standard input, tells what happens by JSON lines on standard
// output.
import { EventLoop } from "../../src/chassis/event/event_loop.ts";
import { readQueues } from "../../src/lockd/journal/read_queues.ts";
import {
  EPOLLIN,
  F_DUPFD_CLOEXEC,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_RDWR,
  O_WRONLY,
  SIGKILL,
  SIGTERM,
  SOCK_DGRAM,
} from "../../src/os/constants.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { must } from "../../src/os/system_error.ts";
import { decodeText, encodeText } from "../../src/os/text.ts";
import type { ManagerEvent, ManagerSetup } from "./service_manager.ts";
import { shielded } from "./shielded.ts";

const setup: ManagerSetup = JSON.parse(Deno.args[0] ?? "{}");
const sys = linuxSys();
const loop = new EventLoop(sys);
const store = new Map<string, number[]>();
let limit = setup.limit;
let pid = 0;
let restart = true;
let restarts = 0;

function tell(event: ManagerEvent): void {
  sys.write(1, encodeText(`${JSON.stringify(event)}\n`));
}

const nothing = must(sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0), "open", "/dev/null");
const log = must(sys.open(setup.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600), "open", setup.log);
const notify = must(sys.socket(SOCK_DGRAM, true), "socket", "notify");
must(sys.bind(notify, setup.notifySocket), "bind", setup.notifySocket);

function start(): void {
  const kept = [...store].flatMap(([name, fds]) => fds.map((fd) => ({ name, fd })));
  // In any order.
  for (let at = kept.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [kept[at], kept[other]] = [kept[other] as typeof kept[0], kept[at] as typeof kept[0]];
  }
  const env: Record<string, string> = {
    ...setup.env,
    NOTIFY_SOCKET: setup.notifySocket,
    VIRTLOCKD_FDSTORE_MAX: String(setup.limit),
    ...kept.length === 0
      ? {}
      : { LISTEN_FDS: String(kept.length), LISTEN_FDNAMES: kept.map(({ name }) => name).join(":") },
  };
  pid = must(
    sys.spawn({
      path: "/bin/sh",
      argv: ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", ...shielded(setup.command)],
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      descriptors: [nothing, log, log, ...kept.map(({ fd }) => fd)],
      blockedSignals: [],
      newSession: false,
    }),
    "posix_spawn",
    "daemon",
  );
  const watched = must(sys.pidfdOpen(pid), "pidfd_open", "daemon");
  loop.add(watched, EPOLLIN, () => {
    loop.remove(watched);
    sys.close(watched);
    const status = new Int32Array(1);
    sys.waitChild(pid, true, status);
    receive();
    tell({ event: "ended", status: status[0] as number, stored: contents() });
    pid = 0;
    if (!restart) return;
    if (restarts++ > 100_000) throw new Error("Restart daemon: it has been done too often");
    start();
  });
  tell({ event: "started", pid });
}

/** Names of everything that is kept: of what lies in a queue of the daemon's too. */
function contents(): string[] {
  const copies = [...store].flatMap(([name, fds]) =>
    fds.map((fd) => ({ name, fd: must(sys.fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl", name) }))
  );
  const { descriptors } = readQueues(sys, copies);
  for (const { fd } of descriptors) sys.close(fd);
  return [...new Set(descriptors.map(({ name }) => name))];
}

const buffer = new Uint8Array(8192);
function receive(): void {
  for (;;) {
    const message = sys.receiveMessage(notify, buffer, false);
    if (typeof message === "number") return;
    const text = decodeText(buffer, 0, message.length);
    const fields = new Map(text.split("\n").map((line) => line.split("=", 2) as [string, string]));
    const name = fields.get("FDNAME") ?? "stored";
    if (fields.get("FDSTORE") === "1") {
      const count = [...store.values()].reduce((sum, fds) => sum + fds.length, 0);
      if (count + message.descriptors.length > limit) {
        message.descriptors.forEach((fd) => sys.close(fd));
      } else store.set(name, [...store.get(name) ?? [], ...message.descriptors]);
    } else {
      message.descriptors.forEach((fd) => sys.close(fd));
      if (fields.get("FDSTOREREMOVE") === "1") {
        store.get(name)?.forEach((fd) => sys.close(fd));
        store.delete(name);
      }
    }
    if (fields.get("READY") === "1") tell({ event: "ready", pid });
  }
}
loop.add(notify, EPOLLIN, receive);

let pending = "";
loop.add(0, EPOLLIN, () => {
  const count = sys.read(0, buffer);
  if (count <= 0) {
    restart = false;
    if (pid > 0) {
      sys.kill(pid, SIGKILL);
      sys.waitChild(pid, true, new Int32Array(1));
    }
    Deno.exit(0);
  }
  pending += decodeText(buffer, 0, count);
  const lines = pending.split("\n");
  pending = lines.pop() ?? "";
  for (const line of lines) command(line);
});

/** Closes what is kept under some names; under all, if none is named. */
function drop(names: readonly string[]): void {
  receive();
  for (const [name, fds] of [...store]) {
    if (names.length > 0 && !names.includes(name)) continue;
    fds.forEach((fd) => sys.close(fd));
    store.delete(name);
  }
}

function command(line: string): void {
  const [verb, ...words] = line.split(" ");
  switch (verb) {
    case "start":
      restart = true;
      return start();
    case "kill":
      sys.kill(pid, SIGKILL);
      return;
    case "pause":
      loop.remove(notify);
      return tell({ event: "stored", names: contents() });
    case "resume":
      return loop.add(notify, EPOLLIN, receive);
    case "hold":
      restart = false;
      return;
    case "restart":
      restart = true;
      sys.kill(pid, SIGTERM);
      return;
    case "empty-and-kill":
      drop([]);
      sys.kill(pid, SIGKILL);
      return;
    case "drop":
      drop(words);
      return tell({ event: "stored", names: contents() });
    case "limit":
      limit = Number(words[0]);
      return tell({ event: "stored", names: contents() });
    case "list":
      receive();
      return tell({ event: "stored", names: contents() });
    default:
      throw new Error(`Service manager: unknown command '${line}'`);
  }
}

loop.run();
