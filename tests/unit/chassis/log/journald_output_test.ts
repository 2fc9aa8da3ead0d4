import assert from "node:assert/strict";
import { JournaldOutput, journalEntry } from "../../../../src/chassis/log/journald_output.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { DatagramServer, entry, inDirectory, sysWith } from "./log_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const EIO = 5;
const ENOSPC = 28;
const EMFILE = 24;
const EMSGSIZE = 90;
const F_ADD_SEALS = 1033;
const F_GETFD = 1;

Deno.test(
  "JournaldOutput send() sends libvirt's fields and those of the message",
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const server = new DatagramServer(path);
    const output = new JournaldOutput(linuxSys(), path, "virtlockd");
    const fields = {
      domain: "guest",
      uuid: "u-1",
      resource: "disk",
      lockspace: "/ls",
      ownerPid: 77,
      askedBy: "x",
    };
    assert.equal(output.send(entry({ fields })), 0);
    assert.equal(
      server.text(),
      "MESSAGE=text\nPRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=virtlockd\n" +
        "LIBVIRT_SOURCE=locking.lock_daemon\nCODE_FILE=src/lockd/daemon/daemon.ts\n" +
        "LIBVIRT_DOMAIN=guest\nLIBVIRT_UUID=u-1\nLIBVIRT_RESOURCE=disk\nLIBVIRT_LOCKSPACE=/ls\n" +
        "LIBVIRT_OWNER_PID=77\nLIBVIRT_ASKED_BY=x\n",
    );
    output.close();
    server.stop();
  }),
);

Deno.test("journalEntry() gives a value with a newline by its length, so that it cannot add a field", () => {
  const bytes = journalEntry(entry({ fields: { resource: "a\nPRIORITY=0", domain: undefined } }), "v");
  const text = new TextDecoder().decode(bytes);
  assert.equal(
    text.slice(text.indexOf("LIBVIRT_RESOURCE")),
    "LIBVIRT_RESOURCE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n",
  );
  assert.equal(text.includes("LIBVIRT_DOMAIN"), false);
});

Deno.test("journalEntry() keeps the bytes of a name that is not UTF-8", () => {
  const bytes = journalEntry(entry({ fields: { resource: "a\udcff" } }), "v");
  assert.deepEqual([...bytes.slice(-3)], [0x61, 0xff, 0x0a]);
});

Deno.test(
  "JournaldOutput send() passes a sealed memfd when the entry is too large for a datagram",
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const server = new DatagramServer(path);
    const real = linuxSys();
    const seals: number[] = [];
    const sys = sysWith({
      fcntl(fd, command, value) {
        if (command !== F_ADD_SEALS) return real.fcntl(fd, command, value);
        seals.push(value);
        return 0;
      },
    });
    const before = openDescriptors();
    const output = new JournaldOutput(sys, path, "virtlockd");
    const large = entry({ text: "x".repeat(400_000) });
    assert.equal(output.send(large), 0);
    assert.deepEqual(seals, [15]);

    const message = server.receive();
    assert.equal(message?.bytes.length, 0);
    assert.equal(message.descriptors.length, 1);
    const memfd = message.descriptors[0] as number;
    const content = new Uint8Array(500_000);
    const length = real.pread(memfd, content, 0);
    assert.deepEqual(content.subarray(0, length), journalEntry(large, "virtlockd"));
    real.close(memfd);
    output.close();
    assert.deepEqual(openedSince(before), []);
    server.stop();
  }),
);

Deno.test(
  "JournaldOutput send() returns the error of each step of a large entry and leaks nothing",
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const server = new DatagramServer(path);
    const real = linuxSys();
    const large = entry({ text: "x".repeat(400_000) });
    const before = openDescriptors();
    const table: ReadonlyArray<readonly [Parameters<typeof sysWith>[0], number]> = [
      [{ memfd: () => -EMFILE }, -EMFILE],
      [{ write: () => -ENOSPC }, -ENOSPC],
      [{ write: () => 10 }, -EIO],
      [{ fcntl: (fd, command, value) => command === F_ADD_SEALS ? -1 : real.fcntl(fd, command, value) }, -1],
      [{ fcntl: () => 0, sendMessage: () => -EMSGSIZE }, -EMSGSIZE],
    ];
    for (const [parts, result] of table) {
      const output = new JournaldOutput(sysWith(parts), path, "virtlockd");
      assert.equal(output.send(large), result);
      output.close();
      assert.deepEqual(openedSince(before), []);
    }
    server.stop();
  }),
);

Deno.test(
  "JournaldOutput holds a close-on-exec socket and reopen() gives it back",
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const server = new DatagramServer(path);
    const real = linuxSys();
    let fd = -1;
    const sys = sysWith({ socket: (type, nonblocking) => fd = real.socket(type, nonblocking) });
    const before = openDescriptors();
    const output = new JournaldOutput(sys, path, "virtlockd");
    output.send(entry());
    assert.equal(real.fcntl(fd, F_GETFD, 0), 1);
    assert.equal(output.reopen(), 0);
    assert.deepEqual(openedSince(before), []);
    server.stop();
  }),
);

Deno.test("journalEntry() shows a notice as such, and a list as a field for each of its elements", () => {
  const fields = { resource: ["a", "b"], domain: "guest" };
  const text = new TextDecoder().decode(journalEntry(entry({ fields, notice: true }), "v"));
  assert.match(text, /^PRIORITY=5$/m);
  assert.match(text, /^LIBVIRT_RESOURCE=a\nLIBVIRT_RESOURCE=b\nLIBVIRT_DOMAIN=guest$/m);
});
