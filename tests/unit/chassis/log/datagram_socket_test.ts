import assert from "node:assert/strict";
import { DatagramSocket } from "../../../../src/chassis/log/datagram_socket.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { DatagramServer, inDirectory, sysWith } from "./log_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const ENOENT = 2;
const EAGAIN = 11;
const EMFILE = 24;
const ENOBUFS = 105;
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test(
  "DatagramSocket send() connects when the service appears, and again when it was restarted",
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const before = openDescriptors();
    const socket = new DatagramSocket(linuxSys(), path);
    assert.equal(socket.send(bytes("early")), -ENOENT);
    assert.deepEqual(openedSince(before), []);

    const first = new DatagramServer(path);
    assert.equal(socket.send(bytes("one")), 0);
    assert.equal(first.text(), "one");
    first.stop();
    assert.equal(socket.send(bytes("nobody")), -ENOENT);

    const second = new DatagramServer(path);
    assert.equal(socket.send(bytes("two")), 0);
    assert.equal(second.text(), "two");
    second.stop();
    const third = new DatagramServer(path);
    assert.equal(socket.send(bytes("three")), 0);
    assert.equal(third.text(), "three");
    third.stop();
    socket.close();
    assert.deepEqual(openedSince(before), []);
  }),
);

Deno.test(
  "DatagramSocket send() returns -EAGAIN when the service does not read",
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const server = new DatagramServer(path);
    const socket = new DatagramSocket(linuxSys(), path);
    let result = 0;
    for (let count = 0; count < 100_000 && result === 0; count++) {
      result = socket.send(bytes("x".repeat(1000)));
    }
    assert.equal(result, -EAGAIN);
    while (server.receive() !== undefined);
    assert.equal(socket.send(bytes("again")), 0);
    assert.equal(server.text(), "again");
    socket.close();
    server.stop();
  }),
);

Deno.test(
  "DatagramSocket send() keeps its connection when memory is short",
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const server = new DatagramServer(path);
    const real = linuxSys();
    let connects = 0;
    let short = false;
    const socket = new DatagramSocket(
      sysWith({
        connect: (fd, to) => {
          connects++;
          return real.connect(fd, to);
        },
        send: (fd, data) => short ? -ENOBUFS : real.send(fd, data),
      }),
      path,
    );
    assert.equal(socket.send(bytes("one")), 0);
    short = true;
    assert.equal(socket.send(bytes("lost")), -ENOBUFS);
    short = false;
    assert.equal(socket.send(bytes("two")), 0);
    assert.equal(connects, 1);
    socket.close();
    server.stop();
  }),
);

Deno.test("DatagramSocket send() returns the error when no descriptor is left", () => {
  const socket = new DatagramSocket(sysWith({ socket: () => -EMFILE }), "/nonexistent");
  assert.equal(socket.send(bytes("x")), -EMFILE);
});
