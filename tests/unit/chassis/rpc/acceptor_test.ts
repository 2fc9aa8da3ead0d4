import assert from "node:assert/strict";
import { Acceptor, type AcceptorParts } from "../../../../src/chassis/rpc/acceptor.ts";
import { OWNER_ONLY } from "../../../../src/chassis/config/socket_role.ts";
import type { Listener } from "../../../../src/chassis/rpc/listener.ts";
import { EAGAIN, ECONNABORTED, EMFILE, EPERM } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";
import { KeptLog } from "../../lockd/journal/kept_log.ts";

const FIRST: Listener = { fd: 500, role: "read-write", path: "/run/a", access: OWNER_ONLY, unlink: true };
const SECOND: Listener = { ...FIRST, fd: 501, path: "/run/b" };

/** Listening sockets on which the test lets clients wait, by descriptor. */
class Stage {
  /** What the next accept gives, for each listening socket. */
  readonly waiting = new Map<number, number[]>();
  readonly admitted: string[] = [];
  readonly closed: number[] = [];
  readonly log = new KeptLog();
  readonly timers: { readonly milliseconds: number; readonly task: () => void; cancelled: boolean }[] = [];
  readonly watched = new Map<number, (events: number) => void>();
  /** Listening sockets that wait for all others in each turn of the loop. */
  readonly late: number[] = [];
  /** How many clients there may be. */
  room = Infinity;
  /** Uids that are turned away. */
  readonly strangers = new Set<number>();
  /** Who has left by the time they are accepted. */
  readonly left = new Set<number>();
  uid = 0;
  credentials = 0;
  readonly acceptor: Acceptor;
  #nextPidfd = 900;

  constructor() {
    const close = (fd: number) => {
      this.closed.push(fd);
      return 0;
    };
    const sys: AcceptorParts["sys"] = {
      ...kernel,
      close,
      accept: (fd) => this.waiting.get(fd)?.shift() ?? -EAGAIN,
      peerCredentials: (_fd, into) => {
        Object.assign(into, { pid: 7, uid: this.uid, gid: 5 });
        return this.credentials;
      },
      peek: (fd) => this.left.has(fd) ? 0 : -EAGAIN,
      peerSecurity: () => "",
      peerPidfd: () => this.#nextPidfd++,
    };
    this.acceptor = new Acceptor({
      name: "test",
      sys,
      loop: {
        add: (fd, _events, handler, when) => {
          this.watched.set(fd, handler);
          if (when === "late") this.late.push(fd);
        },
        remove: (fd: number) => void this.watched.delete(fd),
        after: (milliseconds: number, task: () => void) => {
          const timer = { milliseconds, task, cancelled: false };
          this.timers.push(timer);
          return { due: 0, cancel: () => void (timer.cancelled = true) };
        },
      },
      ledger: new DescriptorLedger({ close }),
      log: this.log,
      now: () => 1_700_000_000_000,
      crowd: () => this.admitted.length < this.room ? undefined : () => `${this.admitted.length} clients`,
      rejection: ({ uid }) => this.strangers.has(uid) ? { kind: "user", reason: `user ${uid}` } : undefined,
      admit: (fd, peer, { path }) => {
        this.admitted.push(`${fd} ${peer.clientId} ${peer.pid} ${path}`);
      },
    });
    this.acceptor.listen(FIRST);
  }

  /** Somebody waits on a socket. The loop says so while it watches that. */
  come(fd: number, ...accepted: number[]): void {
    const events = accepted.length;
    this.waiting.set(fd, accepted);
    for (let event = 0; event < events; event++) this.watched.get(fd)?.(1);
  }
}

Deno.test("Acceptor accepts nobody before it begins, and one in each turn then", () => {
  const stage = new Stage();
  stage.come(FIRST.fd, 30);
  assert.deepEqual([stage.admitted, stage.acceptor.stopped], [[], true]);
  stage.acceptor.start();
  assert.equal(stage.acceptor.stopped, false);
  stage.waiting.set(FIRST.fd, [30, 31]);
  stage.watched.get(FIRST.fd)?.(1);
  assert.deepEqual(stage.admitted, ["30 1 7 /run/a"]);
  stage.watched.get(FIRST.fd)?.(1);
  assert.deepEqual(stage.admitted, ["30 1 7 /run/a", "31 2 7 /run/a"]);
  assert.equal(stage.acceptor.nextClientId, 3);
});

Deno.test("Acceptor lets who is connected be served before it accepts, on each of its sockets", () => {
  const stage = new Stage();
  stage.acceptor.listen(SECOND);
  stage.acceptor.start();
  assert.deepEqual(stage.late, [500, 501]);
});

Deno.test("Acceptor makes no client of one that has left without a word", () => {
  const stage = new Stage();
  stage.acceptor.start();
  stage.left.add(30);
  stage.come(FIRST.fd, 30, 31);
  assert.deepEqual([stage.closed, stage.admitted], [[30], ["31 1 7 /run/a"]]);
});

Deno.test("Acceptor tells of one that it turns away, though it has left", () => {
  const stage = new Stage();
  stage.acceptor.start();
  stage.uid = 7;
  stage.strangers.add(7);
  stage.left.add(30);
  stage.come(FIRST.fd, 30);
  assert.deepEqual([stage.closed, stage.log.lines], [[30], [
    "warning: Refused a connection to server test: user 7",
  ]]);
});

Deno.test("Acceptor goes on with the ids of an earlier life, and never back", () => {
  const stage = new Stage();
  stage.acceptor.nextClientId = 12;
  stage.acceptor.nextClientId = 4;
  stage.acceptor.start();
  stage.come(FIRST.fd, 30);
  assert.deepEqual(stage.admitted, ["30 12 7 /run/a"]);
});

Deno.test("Acceptor lets clients wait at the limit, says so once, and accepts again when there is room", () => {
  const stage = new Stage();
  stage.room = 1;
  stage.acceptor.listen(SECOND);
  stage.acceptor.start();
  stage.come(FIRST.fd, 30);
  assert.deepEqual([[...stage.watched.keys()], stage.log.lines], [[], [
    "warning: Server test has 1 clients, its limit: new ones wait until one leaves, or the limit is raised",
  ]]);
  stage.acceptor.reconsider();
  assert.deepEqual([...stage.watched.keys()], []);
  stage.room = 5;
  stage.acceptor.reconsider();
  assert.deepEqual([...stage.watched.keys()], [FIRST.fd, SECOND.fd]);
});

Deno.test("Acceptor waits without descriptors, until there may be some again", () => {
  const stage = new Stage();
  stage.acceptor.start();
  stage.come(FIRST.fd, -EMFILE);
  assert.deepEqual([...stage.watched.keys()], []);
  assert.match(
    stage.log.lines[0] ?? "",
    /^error: accept4 a client of test: .*\(EMFILE\); new clients wait; raise what the service may use$/,
  );
  const [retry] = stage.timers.filter(({ milliseconds }) => milliseconds === 500);
  // That a client has gone is not enough.
  stage.acceptor.reconsider();
  assert.deepEqual([...stage.watched.keys()], []);
  retry?.task();
  assert.deepEqual([...stage.watched.keys()], [FIRST.fd]);
});

Deno.test("Acceptor tries again earlier where somebody knows that there are descriptors", () => {
  const stage = new Stage();
  stage.acceptor.start();
  stage.come(FIRST.fd, -EMFILE);
  stage.acceptor.reconsider(true);
  assert.deepEqual([...stage.watched.keys()], [FIRST.fd]);
  assert.deepEqual(
    stage.timers.filter(({ milliseconds }) => milliseconds === 500).map((each) => each.cancelled),
    [
      true,
    ],
  );
});

Deno.test("Acceptor says of other failures that it tries again", () => {
  const stage = new Stage();
  stage.acceptor.start();
  stage.come(FIRST.fd, -EPERM);
  assert.match(stage.log.lines[0] ?? "", /\(EPERM\); trying again$/);
});

Deno.test("Acceptor is not disturbed by a client that has given up", () => {
  const stage = new Stage();
  stage.acceptor.start();
  stage.come(FIRST.fd, -ECONNABORTED, 30);
  assert.deepEqual([stage.admitted, stage.log.lines], [["30 1 7 /run/a"], []]);
});

Deno.test("Acceptor turns away whom it is told to, says so, and gives them no id", () => {
  const stage = new Stage();
  stage.strangers.add(1000);
  stage.uid = 1000;
  stage.acceptor.start();
  stage.come(FIRST.fd, 30);
  assert.deepEqual([stage.closed, stage.acceptor.nextClientId], [[30], 1]);
  assert.deepEqual(stage.log.lines, ["warning: Refused a connection to server test: user 1000"]);
  assert.deepEqual([...stage.watched.keys()], [FIRST.fd]);
});

Deno.test("Acceptor turns away whom the kernel does not know", () => {
  const stage = new Stage();
  stage.credentials = -EPERM;
  stage.acceptor.start();
  stage.come(FIRST.fd, 30);
  assert.deepEqual([stage.closed, stage.admitted], [[30], []]);
  assert.match(stage.log.lines[0] ?? "", /^error: Refused a connection to server test: .*\(EPERM\)$/);
});

Deno.test("Acceptor.listenInstead() takes who has come to the old socket, and closes that", () => {
  const stage = new Stage();
  stage.acceptor.listen(SECOND);
  stage.acceptor.start();
  stage.waiting.set(FIRST.fd, [30, 31]);
  const next = { ...FIRST, fd: 502 };
  stage.acceptor.listenInstead(next);
  assert.deepEqual(stage.admitted, ["30 1 7 /run/a", "31 2 7 /run/a"]);
  assert.deepEqual([stage.closed, stage.acceptor.listeners], [[FIRST.fd], [SECOND, next]]);
  assert.deepEqual([...stage.watched.keys()], [SECOND.fd, 502]);
});

Deno.test("Acceptor.stop() leaves clients in the backlog until it begins again", () => {
  const stage = new Stage();
  stage.acceptor.start();
  stage.acceptor.stop();
  stage.come(FIRST.fd, 30);
  assert.deepEqual([stage.admitted, stage.acceptor.stopped], [[], true]);
  stage.acceptor.reconsider(true);
  assert.deepEqual([...stage.watched.keys()], []);
  stage.acceptor.start();
  stage.watched.get(FIRST.fd)?.(1);
  assert.deepEqual(stage.admitted, ["30 1 7 /run/a"]);
});
