import assert from "node:assert/strict";
import { StderrOutput } from "../../../../src/chassis/log/stderr_output.ts";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { entry, inDirectory, line } from "./log_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const EAGAIN = 11;
const F_SETFL = 4;
const STDERR = 2;

/** A kernel whose descriptor 2 is `fd`. */
function withStderr(fd: number): Sys {
  const sys = linuxSys();
  const real = (asked: number) => asked === STDERR ? fd : asked;
  return {
    ...sys,
    fstat: (asked, into) => sys.fstat(real(asked), into),
    write: (asked, bytes) => sys.write(real(asked), bytes),
    send: (asked, bytes) => sys.send(real(asked), bytes),
    open: (path, flags, mode) =>
      sys.open(path === "/proc/self/fd/2" ? `/proc/self/fd/${fd}` : path, flags, mode),
  };
}

function pair(value: [number, number] | number): [number, number] {
  assert.ok(typeof value !== "number");
  return value;
}

function readText(fd: number): string {
  const buffer = new Uint8Array(65536);
  const length = linuxSys().read(fd, buffer);
  return new TextDecoder().decode(buffer.subarray(0, Math.max(length, 0)));
}

Deno.test("StderrOutput send() writes lines to a pipe and close() frees what it opened", () => {
  const sys = linuxSys();
  const [reader, writer] = pair(sys.pipe());
  const before = openDescriptors();
  const output = new StderrOutput(withStderr(writer));
  assert.equal(output.send(entry({ text: "one" })), 0);
  assert.equal(output.reopen(), 0);
  assert.equal(output.send(entry({ text: "two" })), 0);
  output.close();
  assert.deepEqual(openedSince(before), []);
  assert.equal(readText(reader), line("one") + line("two"));
  sys.close(reader);
  sys.close(writer);
});

Deno.test("StderrOutput send() returns -EAGAIN when nobody reads a pipe whose descriptor blocks", () => {
  const sys = linuxSys();
  const [reader, writer] = pair(sys.pipe());
  // The descriptor that the daemon inherits blocks: a write through it would hang this test.
  assert.equal(sys.fcntl(writer, F_SETFL, 0), 0);
  const output = new StderrOutput(withStderr(writer));
  let result = 0;
  for (let count = 0; count < 2000 && result === 0; count++) {
    result = output.send(entry({ text: "x".repeat(100) }));
  }
  assert.equal(result, -EAGAIN);
  readText(reader);
  assert.equal(output.send(entry({ text: "again" })), 0);
  output.close();
  sys.close(reader);
  sys.close(writer);
});

Deno.test("StderrOutput send() fails without waiting when the pipe's reader is gone", () => {
  const sys = linuxSys();
  const [reader, writer] = pair(sys.pipe());
  sys.close(reader);
  const output = new StderrOutput(withStderr(writer));
  assert.equal(output.send(entry()), -32);
  output.close();
  sys.close(writer);
});

Deno.test("StderrOutput send() writes to a socket as systemd connects one", () => {
  const sys = linuxSys();
  const [reader, writer] = pair(sys.socketPair(SOCK_STREAM));
  const output = new StderrOutput(withStderr(writer));
  assert.equal(output.send(entry({ text: "one" })), 0);
  assert.equal(readText(reader), line("one"));
  let result = 0;
  for (let count = 0; count < 5000 && result === 0; count++) {
    result = output.send(entry({ text: "x".repeat(1000) }));
  }
  assert.equal(result, -EAGAIN);
  output.close();
  sys.close(reader);
  sys.close(writer);
});

Deno.test(
  "StderrOutput send() goes on where a redirected file stands",
  inDirectory((directory) => {
    const sys = linuxSys();
    const path = `${directory}/err`;
    const fd = sys.open(path, 0o101, 0o600);
    sys.write(fd, new TextEncoder().encode("shell\n"));
    const output = new StderrOutput(withStderr(fd));
    assert.equal(output.send(entry({ text: "one" })), 0);
    sys.write(fd, new TextEncoder().encode("shell again\n"));
    assert.equal(Deno.readTextFileSync(path), `shell\n${line("one")}shell again\n`);
    output.close();
    sys.close(fd);
  }),
);
