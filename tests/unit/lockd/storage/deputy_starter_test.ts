import assert from "node:assert/strict";
import { F_DUPFD_CLOEXEC, SOCK_SEQPACKET } from "../../../../src/os/constants.ts";
import { ECONNREFUSED, ENOENT, strerror } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { must, SystemError } from "../../../../src/os/system_error.ts";
import { DeputyStarter } from "../../../../src/lockd/storage/deputy_starter.ts";
import { decodeToHelper } from "../../../../src/lockd/storage/helper_decoding.ts";
import { type ToHelper } from "../../../../src/lockd/storage/helper_protocol.ts";
import { plausible } from "../../../fault/errnos.ts";
import { type Fault, FaultSys } from "../../../fault/fault_sys.ts";
import { inDirectory, Turning } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const SELF = { path: "/usr/sbin/virtlockd", argv: ["virtlockd"], env: ["A=b"] };
const IDS = { uid: 7, gid: 8 };
const BECOME: ToHelper = { kind: "become", version: "5", ids: IDS };
const NOBODY = { received: () => {}, ended: () => {} };

/** The next message at an end of a link. */
function next(sys: Sys, fd: number): ToHelper {
  const bytes = new Uint8Array(65536);
  const received = sys.receiveMessage(fd, bytes, true);
  if (typeof received === "number") throw new SystemError("recvmsg", "test", received);
  return decodeToHelper(bytes.subarray(0, received.length));
}

/** A starter beside a socket, and what it had started as children. */
function starter(turning: Turning, socket: string) {
  const { sys, loop, ledger } = turning;
  const started: { far: number; argv: readonly string[] | undefined }[] = [];
  return {
    started,
    starter: new DeputyStarter({
      sys,
      loop,
      ledger,
      self: SELF,
      socket,
      starter: {
        start: (far, command) =>
          started.push({ far: sys.fcntl(far, F_DUPFD_CLOEXEC, 0), argv: command?.argv }),
      },
    }),
  };
}

Deno.test(
  "DeputyStarter has the service manager start a deputy, and tells it who to become",
  inDirectory((directory) => {
    using turning = new Turning();
    const { sys } = turning;
    const before = openDescriptors();
    const listener = must(sys.socket(SOCK_SEQPACKET, false), "socket", "test");
    must(sys.bind(listener, `${directory}/sock`), "bind", "test");
    must(sys.listen(listener, 1), "listen", "test");
    const { starter: deputies, started } = starter(turning, `${directory}/sock`);
    const link = deputies.start(IDS, NOBODY);
    const deputy = must(sys.accept(listener), "accept", "test");
    assert.deepEqual(next(sys, deputy), BECOME);
    assert.deepEqual(started, []);
    link.close();
    for (const fd of [deputy, listener]) sys.close(fd);
    assert.deepEqual(openedSince(before), []);
  }),
);

Deno.test(
  "DeputyStarter has a child started where nobody listens",
  inDirectory((directory) => {
    using turning = new Turning();
    const before = openDescriptors();
    const { starter: deputies, started } = starter(turning, `${directory}/sock`);
    const link = deputies.start(IDS, NOBODY);
    const [child] = started;
    assert.deepEqual(child?.argv, ["virtlockd", "internal-deputy"]);
    assert.deepEqual(next(turning.sys, child.far), BECOME);
    link.close();
    turning.sys.close(child.far);
    assert.deepEqual(openedSince(before), []);
  }),
);

for (const listening of [true, false]) {
  Deno.test(
    `DeputyStarter says of each call that fails ${
      listening ? "at the socket" : "for a child"
    }, and leaves nothing open`,
    inDirectory((directory) => {
      const real = linuxSys();
      // What the event loop does has tests of its own, and the test itself duplicates a descriptor.
      const faults = new FaultSys(real, (call) => call === "epollControl" || call === "fcntl");
      using turning = new Turning(faults.sys);
      const listener = must(real.socket(SOCK_SEQPACKET, true), "socket", "test");
      if (listening) {
        must(real.bind(listener, `${directory}/sock`), "bind", "test");
        must(real.listen(listener, 10), "listen", "test");
      }
      const { starter: deputies, started } = starter(turning, `${directory}/sock`);
      const before = openDescriptors();
      /** @returns what it said, "" when a deputy was started */
      const start = (fault?: Fault): string => {
        let said = "";
        faults.arm(fault);
        try {
          const link = deputies.start(IDS, { received: () => {}, ended: (reason) => said = reason });
          turning.loop.turn(0);
          link.close();
        } catch (error) {
          said = error instanceof SystemError ? error.message : assert.fail(String(error));
        }
        for (const { far } of started.splice(0)) real.close(far);
        const accepted = listening ? real.accept(listener) : -1;
        if (accepted >= 0) real.close(accepted);
        return said;
      };
      assert.equal(start(), "");
      const { counts } = faults.disarm();
      let fired = 0;
      for (const [call, count] of counts) {
        for (let nth = 1; nth <= count; nth++) {
          for (const errno of plausible(call)) {
            const said = start({ call, nth, errno });
            const isFired = faults.disarm().fired;
            if (isFired) fired++;
            // Nobody listens: a child is started. Whatever close(2) says, the descriptor has gone.
            const goesOn = call === "close" || (call === "connect" && [ENOENT, ECONNREFUSED].includes(errno));
            if (isFired && !goesOn) {
              assert.match(said, new RegExp(strerror(errno)), `${call} ${nth} ${errno}`);
            }
            assert.deepEqual(openedSince(before), [], `${call} ${nth} ${errno}`);
          }
        }
      }
      assert.ok(fired >= 6, `only ${fired} faults came up`);
      real.close(listener);
    }),
  );
}
