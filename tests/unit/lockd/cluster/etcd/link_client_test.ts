import assert from "node:assert/strict";
import { type Answer, encodeLine, type FromLink } from "../../../../../src/etcd/wire/link_messages.ts";
import { LinkClient } from "../../../../../src/lockd/cluster/etcd/link_client.ts";
import { EPOLLIN, EPOLLOUT } from "../../../../../src/os/constants.ts";
import { EAGAIN, ECONNREFUSED, ENOENT } from "../../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../../src/os/ledger.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const FD = 9;
const OPENED: FromLink = { kind: "opened", protocol: 5 };
const QUESTION = { kind: "keep-lease", lease: "7" } as const;

/** A link whose other end the test plays. */
class Stage {
  readonly #incoming: Uint8Array[] = [];
  readonly sent: number[] = [];
  /** How many bytes the socket takes; then it takes none before it is told to. */
  room = Infinity;
  watched = 0;
  opened = 0;
  /** Sent again and again, behind everything else. */
  endless: Uint8Array | undefined;
  /** How often something was read. */
  reads = 0;
  readonly time = new PlayedTime();
  readonly client: LinkClient;
  #event: (events: number) => void = () => assert.fail("nothing is watched");

  /** @param connected what connect(2) says */
  constructor(connected = 0) {
    const sys = {
      socket: () => FD,
      connect: () => connected,
      close: () => 0,
      read: (_fd: number, into: Uint8Array) => {
        this.reads++;
        if (this.endless !== undefined && this.reads > 100) throw new Error("it reads for ever");
        const piece = this.#incoming.shift() ?? this.endless;
        if (piece === undefined) return -EAGAIN;
        into.set(piece.subarray(0, into.length));
        if (piece.length > into.length) this.#incoming.unshift(piece.subarray(into.length));
        return Math.min(piece.length, into.length);
      },
      send: (_fd: number, bytes: Uint8Array) => {
        const taken = Math.min(bytes.length, this.room);
        if (taken === 0) return -EAGAIN;
        this.room -= taken;
        for (const byte of bytes.subarray(0, taken)) this.sent.push(byte);
        return taken;
      },
    };
    const loop = this.time.loop();
    this.client = new LinkClient({
      sys,
      loop: {
        add: (_fd, events, handler) => {
          this.watched = events;
          this.#event = handler;
        },
        remove: () => void (this.watched = 0),
        modify: (_fd, events) => void (this.watched = events),
        after: (milliseconds, task) => loop.after(milliseconds, task),
        defer: (task) => loop.defer(task),
      },
      ledger: new DescriptorLedger(sys),
      socket: "/run/link",
      endpoints: { urls: ["http://etcd:2379"] },
      opened: () => void this.opened++,
    });
  }

  /** The other end sends pieces. */
  receive(...pieces: readonly Uint8Array[]): void {
    this.#incoming.push(...pieces.filter(({ length }) => length > 0));
    while (this.watched !== 0 && this.#incoming.length > 0) this.turn();
  }

  /** A turn of the loop, which tells that something can be read. */
  turn(): void {
    this.#event(EPOLLIN);
  }

  /** The socket takes so many bytes again. */
  take(count: number): void {
    this.room = count;
    this.#event(EPOLLOUT);
  }

  get lines(): string[] {
    return new TextDecoder().decode(new Uint8Array(this.sent)).split("\n");
  }
}

function line(message: FromLink): Uint8Array {
  return new TextEncoder().encode(encodeLine(message));
}

Deno.test("where nobody listens for links that is told, with what to do", () => {
  const advice =
    "nobody listens there; install deno-virtlockd-cluster, and systemctl enable --now virtlockd-cluster.socket";
  const { client: absent } = new Stage(-ENOENT);
  assert.equal(
    absent.unreachable,
    `the link with etcd does not work: connect /run/link: No such file or directory (ENOENT): ${advice}`,
  );
  const { client: refused } = new Stage(-ECONNREFUSED);
  assert.equal(
    refused.unreachable,
    `the link with etcd does not work: connect /run/link: Connection refused (ECONNREFUSED): ${advice}`,
  );
});

Deno.test("answers come to whoever has asked, wherever their lines are split", () => {
  const first = { kind: "unknown", reason: "zwölf\n" } as const;
  const second = { kind: "lease", lease: "7", seconds: 10 } as const;
  const whole = new Uint8Array([
    ...line({ kind: "answer", id: 2, answer: second }),
    ...line({ kind: "answer", id: 1, answer: first }),
  ]);
  for (let at = 0; at <= whole.length; at++) {
    const stage = new Stage();
    stage.receive(line(OPENED));
    const answers: [string, Answer][] = [];
    stage.client.ask(QUESTION, 4000, (answer) => answers.push(["first", answer]));
    stage.client.ask(QUESTION, 4000, (answer) => answers.push(["second", answer]));
    stage.receive(whole.slice(0, at), whole.slice(at));
    assert.deepEqual(answers, [["second", second], ["first", first]]);
    stage.client.close();
  }
});

Deno.test("what the socket does not take at once is sent in order, wherever it is split", () => {
  const stage = new Stage();
  stage.receive(line(OPENED));
  stage.client.ask(QUESTION, 4000, () => {});
  stage.client.ask(QUESTION, 4000, () => {});
  const whole = stage.lines;
  assert.equal(whole.length, 4);
  for (let room = 1; room < 120; room++) {
    const slow = new Stage();
    slow.receive(line(OPENED));
    slow.room = 0;
    slow.client.ask(QUESTION, 4000, () => {});
    slow.client.ask(QUESTION, 4000, () => {});
    assert.equal(slow.watched, EPOLLIN | EPOLLOUT);
    while (slow.watched !== EPOLLIN) slow.take(room);
    assert.deepEqual(slow.lines, whole);
  }
});

Deno.test("a link that answers another question is ended, and a key that it leaves out is not one that is not there", () => {
  const stage = new Stage();
  stage.receive(line(OPENED));
  const answers: Answer[] = [];
  const transaction = { compare: [], success: [{ op: "get", key: "/meta" }], failure: [] } as const;
  stage.client.ask({ kind: "transaction", transaction }, 4000, (answer) => answers.push(answer));
  const result = { succeeded: true, results: [], cluster: "1", revision: 7 };
  stage.receive(line({ kind: "answer", id: 1, answer: { kind: "transaction", result } }));
  const reason = "it has answered another question than it was asked";
  assert.deepEqual(answers, [{ kind: "unknown", reason: `the link with etcd has ended: ${reason}` }]);
  assert.deepEqual([stage.client.unreachable, stage.watched], [
    `the link with etcd does not work: ${reason}`,
    0,
  ]);
});

Deno.test("a link that sends a line without an end is ended, and what it was asked is not known", () => {
  const stage = new Stage();
  stage.receive(line(OPENED));
  const answers: Answer[] = [];
  stage.client.ask(QUESTION, 4000, (answer) => answers.push(answer));
  const piece = new Uint8Array(1024 * 1024).fill(65);
  stage.receive(...new Array<Uint8Array>(16).fill(piece));
  assert.deepEqual(answers, []);
  stage.receive(piece);
  const reason = "it has sent a line that is too long for a message";
  assert.deepEqual(answers, [{ kind: "unknown", reason: `the link with etcd has ended: ${reason}` }]);
  assert.deepEqual([stage.client.unreachable, stage.watched], [
    `the link with etcd does not work: ${reason}`,
    0,
  ]);
});

Deno.test("a link that does not say that it is ready is ended, and another one is started", () => {
  const stage = new Stage();
  stage.time.advance();
  assert.deepEqual([stage.time.now, stage.watched, stage.client.starting], [30_000, EPOLLIN, true]);
  stage.time.advance();
  assert.deepEqual([stage.time.now, stage.watched, stage.client.starting], [30_500, 0, false]);
  assert.equal(
    stage.client.unreachable,
    "the link with etcd does not work: its process was not ready within 30 s: " +
      "journalctl --unit='virtlockd-cluster@*' says how far it has come",
  );
  stage.time.advance();
  assert.deepEqual([stage.time.now, stage.watched], [31_000, EPOLLIN]);
  stage.receive(line(OPENED));
  assert.deepEqual([stage.client.unreachable, stage.opened, stage.client.starting], [undefined, 1, false]);
  // One that was ready in time is not ended for that.
  stage.time.after(60_000, () => {});
  stage.time.advance();
  assert.deepEqual([stage.time.now, stage.watched], [91_000, EPOLLIN]);
});

Deno.test("a link that does not answer in its time and half a second is ended", () => {
  const stage = new Stage();
  stage.receive(line(OPENED));
  const answers: Answer[] = [];
  stage.client.ask(QUESTION, 4000, (answer) => answers.push(answer));
  stage.time.advance();
  assert.deepEqual([stage.time.now, answers, stage.client.unreachable], [4000, [], undefined]);
  stage.time.advance();
  const reason = "it has not answered in time";
  assert.deepEqual([stage.time.now, answers], [
    4500,
    [{ kind: "unknown", reason: `the link with etcd has ended: ${reason}` }],
  ]);
  assert.deepEqual([stage.client.unreachable, stage.watched], [
    `the link with etcd does not work: ${reason}`,
    0,
  ]);
});

Deno.test("a daemon that was held up for a minute takes what its link has sent meanwhile, and keeps the link", () => {
  const stage = new Stage();
  stage.time.now = 60_000;
  stage.time.advance();
  stage.receive(line(OPENED));
  assert.deepEqual([stage.client.unreachable, stage.opened], [undefined, 1]);
  const answers: Answer[] = [];
  stage.client.ask(QUESTION, 4000, (answer) => answers.push(answer));
  stage.time.now = 120_000;
  stage.time.advance();
  const answer = { kind: "lease", lease: "7", seconds: 10 } as const;
  stage.receive(line({ kind: "answer", id: 1, answer }));
  assert.deepEqual([answers, stage.client.unreachable, stage.watched], [[answer], undefined, EPOLLIN]);
  stage.time.advance();
  assert.deepEqual([stage.client.unreachable, stage.watched], [undefined, EPOLLIN]);
});

Deno.test("a link that sends without an end is read once in a turn of the loop", () => {
  const stage = new Stage();
  const flood = line({ kind: "unusable", reason: "x" });
  stage.endless = new Uint8Array(65_536 - 65_536 % flood.length).map((_, at) =>
    flood[at % flood.length] ?? 0
  );
  stage.turn();
  assert.equal(stage.reads, 1);
  stage.turn();
  assert.equal(stage.reads, 2);
});

Deno.test("a link that answers what it was not asked, or is ready twice, is ended", () => {
  for (
    const [message, reason] of [
      [{ kind: "answer", id: 7, answer: { kind: "changed" } }, "it has answered what it was not asked"],
      [OPENED, "it has said twice that it is ready"],
    ] as const
  ) {
    const stage = new Stage();
    stage.receive(line(OPENED));
    const answers: Answer[] = [];
    stage.client.ask(QUESTION, 4000, (answer) => answers.push(answer));
    stage.receive(line(message));
    assert.deepEqual(answers, [{ kind: "unknown", reason: `the link with etcd has ended: ${reason}` }]);
    assert.deepEqual([stage.client.unreachable, stage.watched], [
      `the link with etcd does not work: ${reason}`,
      0,
    ]);
  }
});
