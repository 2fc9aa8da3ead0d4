import assert from "node:assert/strict";
import { mayReach } from "../../../../src/lockd/daemon/socket_reach.ts";
import { ENOENT } from "../../../../src/os/errno.ts";

const SOCKET = "/run/libvirt/virtlockd-sock";
const HOST = `20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 0:25 / /run rw - tmpfs tmpfs rw
22 21 0:30 / /run/lock rw - tmpfs tmpfs rw
`;

/** A kernel in which another process, 7, has these mounts. */
function world(mounts: string | undefined) {
  const texts = new Map([["/proc/self/mountinfo", HOST], ["/proc/7/mountinfo", mounts]]);
  const open: string[] = [];
  return {
    open: (path: string) => texts.get(path) === undefined ? -ENOENT : open.push(texts.get(path) ?? "") - 1,
    pread: (fd: number, into: Uint8Array, at: number) =>
      new TextEncoder().encodeInto((open[fd] ?? "").slice(at), into).written,
    close: () => 0,
  };
}

Deno.test("mayReach() tells by mounts whether a process can see a socket's directory at all", () => {
  const container = "90 1 8:2 / / rw - ext4 /dev/sdb1 rw\n91 90 0:40 / /run rw - tmpfs tmpfs rw\n";
  const rows: [string, string | undefined, boolean][] = [
    ["a process of the host", HOST, true],
    ["a container", container, false],
    [
      "one with the host's directory",
      `${container}92 91 0:25 /libvirt /srv/host rw - tmpfs tmpfs rw\n`,
      true,
    ],
    [
      "one with another part of /run",
      `${container}92 91 0:25 /systemd/x /run/host rw - tmpfs tmpfs rw\n`,
      false,
    ],
    [
      "one with a directory of a like name",
      `${container}92 91 0:25 /lib /run/host rw - tmpfs tmpfs rw\n`,
      false,
    ],
    ["one that has gone", undefined, true],
  ];
  for (const [what, mounts, expected] of rows) {
    assert.equal(mayReach(world(mounts), 7, SOCKET), expected, what);
  }
});
