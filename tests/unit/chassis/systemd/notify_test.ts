import assert from "node:assert/strict";
import { SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { NotifySocket } from "../../../../src/chassis/systemd/notify.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

/**
 * Connects to an address at which somebody listens. @returns the socket, the listener, and how to close both
 */
function connected(address: string) {
  const listener = kernel.socket(SOCK_DGRAM, true);
  assert.equal(kernel.bind(listener, address), 0);
  const ledger = new DescriptorLedger(kernel);
  const notify = NotifySocket.connect(kernel, ledger, address);
  assert.ok(notify instanceof NotifySocket);
  return {
    notify,
    listener,
    [Symbol.dispose]() {
      ledger.close(notify.fd);
      kernel.close(listener);
    },
  };
}

function receive(listener: number) {
  const bytes = new Uint8Array(1000);
  const message = kernel.receiveMessage(listener, bytes, false);
  assert.ok(typeof message !== "number");
  return {
    text: new TextDecoder().decode(bytes.subarray(0, message.length)),
    descriptors: message.descriptors,
  };
}

Deno.test("NotifySocket send() makes one datagram of its lines", () => {
  using scratch = new Scratch();
  using it = connected(scratch.file("notify"));
  assert.equal(it.notify.send(["READY=1", "STATUS=grün"]), "sent");
  assert.deepEqual(receive(it.listener), { text: "READY=1\nSTATUS=grün", descriptors: [] });
});

Deno.test("NotifySocket send() passes copies of descriptors along", () => {
  using it = connected(`@${crypto.randomUUID()}`);
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  assert.equal(it.notify.send(["FDSTORE=1"], pipe), "sent");
  const { text, descriptors } = receive(it.listener);
  assert.equal(text, "FDSTORE=1");
  const [output = -1, input = -1] = descriptors;
  assert.equal(kernel.write(input, new Uint8Array(3)), 3);
  assert.equal(kernel.read(pipe[0], new Uint8Array(8)), 3);
  for (const fd of [output, input, ...pipe]) assert.equal(kernel.close(fd), 0);
});

Deno.test("NotifySocket send() says when the manager is behind, and when it has gone", () => {
  using scratch = new Scratch();
  using it = connected(scratch.file("notify"));
  let sent = 0;
  while (it.notify.send(["STATUS=x"]) === "sent") sent++;
  assert.ok(sent > 0);
  assert.equal(it.notify.send(["STATUS=x"]), "full");
  receive(it.listener);
  assert.equal(it.notify.send(["STATUS=x"]), "sent");
  kernel.shutdown(it.listener);
  assert.equal(typeof it.notify.send(["STATUS=x"]), "number");
});

Deno.test("NotifySocket connect() gives nothing without an address, and the reason when it fails", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const ledger = new DescriptorLedger(kernel);
  assert.equal(NotifySocket.connect(kernel, ledger, undefined), undefined);
  assert.equal(NotifySocket.connect(kernel, ledger, ""), undefined);
  assert.deepEqual(NotifySocket.connect(kernel, ledger, scratch.file("absent")), { errno: 2 });
  assert.deepEqual(NotifySocket.connect({ ...kernel, socket: () => -24 }, ledger, "/x"), { errno: 24 });
  assert.deepEqual(openedSince(before), []);
});
