import assert from "node:assert/strict";
import { clientsText } from "../../../../src/lockd/cli/clients.ts";

const ENOENT = 2;

Deno.test("clientsText() gives each client a row, with names of its command and user", () => {
  const sys = {
    open: (path: string) => path === "/proc/41/comm" ? 5 : -ENOENT,
    read: (_fd: number, into: Uint8Array) => {
      into.set(new TextEncoder().encode("qemu\n"));
      return 5;
    },
    close: () => 0,
    userName: (uid: number) => `user${uid}`,
  };
  const common = { id: 1, connected: 1_795_266_578_207, uid: 0, gid: 0 };
  const owner = { domain: "guest", uuid: "6ba7b810-9dad-41d1-80b4-00000000002a", id: 1, pid: 41 };
  assert.equal(
    clientsText([
      { ...common, server: "virtlockd", pid: 41, owner, restricted: true, locks: 2 },
      { ...common, server: "admin", pid: 40 },
    ], sys),
    `SERVER     ID  PID  COMMAND  USER   CONNECTED             DOMAIN  UUID                                  LOCKS
virtlockd  1   41   qemu     user0  2026-11-21 13:09:38Z  guest   6ba7b810-9dad-41d1-80b4-00000000002a  2
admin      1   40   -        user0  2026-11-21 13:09:38Z  -       -                                     -
`,
  );
});
