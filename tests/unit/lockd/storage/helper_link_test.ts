import assert from "node:assert/strict";
import { EMFILE, ENOBUFS, EPERM } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { encodeText } from "../../../../src/os/text.ts";
import { O_RDONLY } from "../../../../src/os/constants.ts";
import { must, SystemError } from "../../../../src/os/system_error.ts";
import { HelperLink } from "../../../../src/lockd/storage/helper_link.ts";
import type { FromHelper } from "../../../../src/lockd/storage/helper_protocol.ts";
import { PlayedHelper } from "./played_helper.ts";
import { sysWith, Turning } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

/** A link with a helper that the test plays. */
class Pair implements Disposable {
  readonly #before = openDescriptors();
  readonly turning: Turning;
  readonly link: HelperLink;
  readonly helper: PlayedHelper;
  readonly received: FromHelper[] = [];
  readonly ended: string[] = [];

  constructor(sys: Sys = linuxSys()) {
    this.turning = new Turning(sys);
    const { link, far } = HelperLink.pair(this.turning, {
      received: (message) => this.received.push(message),
      ended: (reason) => this.ended.push(reason),
    });
    this.link = link;
    this.helper = new PlayedHelper(linuxSys(), far);
  }

  [Symbol.dispose](): void {
    this.link.close();
    this.helper.end();
    assert.equal(this.turning.ledger.size, 0);
    this.turning[Symbol.dispose]();
    assert.deepEqual(openedSince(this.#before), []);
  }
}

Deno.test("HelperLink takes what was sent before the helper ended, then says so once", () => {
  using pair = new Pair();
  pair.helper.send({ kind: "ready", pid: 7 });
  pair.helper.send({ kind: "result", id: 1, result: { kind: "done" } });
  pair.helper.end();
  pair.turning.until(() => pair.ended.length > 0 || undefined);
  assert.deepEqual(pair.received, [
    { kind: "ready", pid: 7 },
    { kind: "result", id: 1, result: { kind: "done" } },
  ]);
  assert.deepEqual(pair.ended, ["its helper process has ended"]);
});

Deno.test("HelperLink ends with what is no message, and keeps nothing that came along", () => {
  using pair = new Pair();
  const fd = must(linuxSys().open("/dev/null", O_RDONLY, 0), "open", "/dev/null");
  pair.helper.sendBytes(encodeText('{"kind":"result","id":1,"result":{"kind":"granted"}}'), [fd]);
  linuxSys().close(fd);
  pair.turning.until(() => pair.ended.length > 0 || undefined);
  assert.deepEqual(pair.received, []);
  assert.deepEqual(pair.ended, [
    "its helper process sent what is no message: result.identity: expected an object, got nothing",
  ]);
  assert.deepEqual(pair.helper.read(), ["end"]);
});

Deno.test("HelperLink takes what was sent by a helper that ended with a message unread", () => {
  using pair = new Pair();
  pair.link.send({ kind: "settled", id: 1 });
  pair.helper.send({ kind: "ready", pid: 7 });
  pair.helper.end();
  pair.turning.until(() => pair.ended.length > 0 || undefined);
  assert.deepEqual(pair.received, [{ kind: "ready", pid: 7 }]);
});

Deno.test("HelperLink.send() to a helper that has ended is told from the event loop", () => {
  using pair = new Pair();
  pair.helper.end();
  pair.link.send({ kind: "settled", id: 1 });
  assert.deepEqual(pair.ended, []);
  pair.turning.until(() => pair.ended.length > 0 || undefined);
  assert.equal(pair.ended.length, 1);
});

Deno.test("HelperLink.send() that fails ends the link with the reason", () => {
  using pair = new Pair(sysWith({ sendMessage: () => -ENOBUFS }));
  pair.link.send({ kind: "settled", id: 1 });
  pair.turning.until(() => pair.ended.length > 0 || undefined);
  assert.deepEqual(pair.ended, ["Send to storage helper: No buffer space available (ENOBUFS)"]);
  assert.deepEqual(pair.helper.readShort(), ["end"]);
});

Deno.test("HelperLink.close() ends the helper's stream, and nobody is told", () => {
  using pair = new Pair();
  pair.link.send({ kind: "settled", id: 1 });
  pair.link.close();
  pair.link.send({ kind: "settled", id: 2 });
  assert.deepEqual(pair.helper.readShort(), ["settled 1", "end"]);
  assert.deepEqual(pair.ended, []);
});

Deno.test("HelperLink closed while it takes messages takes no more of them", () => {
  using turning = new Turning();
  const received: FromHelper[] = [];
  const { link, far } = HelperLink.pair(turning, {
    received: (message) => {
      received.push(message);
      link.close();
    },
    ended: () => assert.fail("told of the end"),
  });
  const helper = new PlayedHelper(turning.sys, far);
  helper.send({ kind: "ready", pid: 7 });
  helper.send({ kind: "ready", pid: 8 });
  turning.until(() => received.length > 0 || undefined);
  helper.end();
  assert.deepEqual(received, [{ kind: "ready", pid: 7 }]);
});

Deno.test("HelperLink.pair() throws when there are no descriptors", () => {
  using turning = new Turning(sysWith({ socketPair: () => -EMFILE }));
  assert.throws(
    () => HelperLink.pair(turning, { received: () => {}, ended: () => {} }),
    new SystemError("socketpair", "storage helper", EMFILE),
  );
});

Deno.test("HelperLink.pair() leaves nothing open when the pair cannot be watched", () => {
  const real = linuxSys();
  let failing = false;
  using turning = new Turning(sysWith({
    epollControl: (epoll, op, fd, events) => failing ? -EPERM : real.epollControl(epoll, op, fd, events),
  }));
  const before = openDescriptors();
  failing = true;
  assert.throws(() => HelperLink.pair(turning, { received: () => {}, ended: () => {} }), SystemError);
  assert.deepEqual(openedSince(before), []);
  assert.equal(turning.ledger.size, 0);
});
