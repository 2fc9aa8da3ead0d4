import assert from "node:assert/strict";
import { encodeLine, type FromLink } from "../../../../../src/etcd/wire/link_messages.ts";
import { EtcdLink } from "../../../../../src/lockd/cli/cluster/etcd_link.ts";
import { S_IFREG, S_IFSOCK } from "../../../../../src/os/constants.ts";
import { EACCES, EAGAIN, ECONNREFUSED, EIO, ENOENT, EPIPE } from "../../../../../src/os/errno.ts";

const SOCKET = "/run/libvirt/virtlockd-cluster-sock";
const PROGRAM = "/usr/sbin/virtlockd-cluster";
const INSTALL = "install deno-virtlockd-cluster, and systemctl enable --now virtlockd-cluster.socket";

/** How the kernel and a link behave. */
interface Played {
  readonly path?: string;
  readonly stat?: number;
  readonly connect?: number;
  /** What the link sends; then it ends, or says nothing more. */
  readonly sends?: readonly FromLink[];
  readonly hangs?: boolean;
  /** Whether the command is held up for a minute each time that it looks at the clock. */
  readonly heldUp?: boolean;
  /** What each further send(2) gives back, and gets; the last one for ever. */
  readonly takes?: readonly number[];
  /** Gets what was sent. */
  readonly into?: number[];
}

/** Why a link cannot be opened, with the command's exit code. */
function failure(
  { path = SOCKET, stat = 0, connect = 0, sends = [], hangs = false, heldUp = false, takes, into: got = [] }:
    Played,
): string {
  const bytes = new TextEncoder().encode(sends.map((message) => encodeLine(message)).join(""));
  let left = bytes;
  let now = 0;
  let calls = 0;
  const sys = {
    stat: (_path: string, status: { mode: number }) => {
      status.mode = path === PROGRAM ? S_IFREG : S_IFSOCK;
      return stat;
    },
    socket: () => 9,
    socketPair: (): [number, number] => [9, 10],
    connect: () => connect,
    spawn: () => 77,
    kill: () => 0,
    waitChild: () => 77,
    close: () => 0,
    send: (_fd: number, sent: Uint8Array) => {
      const taken = takes?.[Math.min(calls++, takes.length - 1)] ?? sent.length;
      if (taken > 0) got.push(...sent.subarray(0, taken));
      return Math.min(taken, sent.length);
    },
    monotonic: () => heldUp ? now += 60_000 : now,
    pollReadable: (_fd: number, milliseconds: number) => {
      if (left.length > 0 || !hangs) return 1;
      now += milliseconds;
      return 0;
    },
    read: (_fd: number, into: Uint8Array) => {
      const { length } = left;
      into.set(left);
      left = new Uint8Array(0);
      return length;
    },
  };
  try {
    using link = EtcdLink.open(sys, { path, env: [] }, { urls: ["http://etcd:2379"] });
    link.ask({ kind: "versions" }, 4000);
  } catch (error) {
    if (error instanceof Error && "code" in error) return `${error.code} ${error.message}`;
    throw error;
  }
  return assert.fail("it has opened, and answered");
}

Deno.test("where nobody listens for links a command advises what the daemon does", () => {
  const nobody = `nobody listens there; ${INSTALL}`;
  assert.equal(
    failure({ stat: -ENOENT }),
    `2 stat ${SOCKET}: No such file or directory (ENOENT): ${nobody}`,
  );
  assert.equal(
    failure({ connect: -ECONNREFUSED }),
    `2 connect ${SOCKET}: Connection refused (ECONNREFUSED): ${nobody}`,
  );
  assert.equal(
    failure({ connect: -ENOENT }),
    `2 connect ${SOCKET}: No such file or directory (ENOENT): ${nobody}`,
  );
});

Deno.test("where a machine that needs no socket lacks the link's program the package is enough", () => {
  assert.equal(
    failure({ path: PROGRAM, stat: -ENOENT }),
    `2 stat ${PROGRAM}: No such file or directory (ENOENT): install deno-virtlockd-cluster, or name another place ` +
      "with --link",
  );
});

Deno.test("who may not reach the link is told who may, and where another error stands", () => {
  const denied = `2 No permission to connect to ${SOCKET}: say it as root`;
  assert.equal(failure({ stat: -EACCES }), denied);
  assert.equal(failure({ connect: -EACCES }), denied);
  assert.equal(failure({ stat: -EIO }), `2 stat ${SOCKET}: Input/output error (EIO)`);
  assert.equal(
    failure({ connect: -EAGAIN }),
    `2 connect ${SOCKET}: Resource temporarily unavailable (EAGAIN): systemctl status virtlockd-cluster.socket says why`,
  );
});

Deno.test("a link of systemd's that is not ready is told with where it has said why, as the daemon does", () => {
  assert.equal(
    failure({}),
    `2 The link with etcd at ${SOCKET} has ended before it was ready: journalctl --unit='virtlockd-cluster@*' says why`,
  );
  assert.equal(
    failure({ hangs: true }),
    `2 The link with etcd at ${SOCKET} was not ready within 30 s: journalctl --unit='virtlockd-cluster@*' says how far ` +
      "it has come",
  );
  const sends = [{ kind: "opened", protocol: 5 }] as const;
  assert.equal(failure({ sends }), `2 The link with etcd at ${SOCKET} has ended`);
  assert.equal(failure({ sends, hangs: true }), `2 The link with etcd at ${SOCKET} does not answer`);
});

Deno.test("what a link has sent while the command was held up for a minute counts", () => {
  const sends = [{ kind: "opened", protocol: 5 }] as const;
  const text = `2 The link with etcd at ${SOCKET} does not answer`;
  assert.equal(failure({ sends, hangs: true, heldUp: true }), text);
});

Deno.test("a link that the command has started itself has said on standard error why it is not ready", () => {
  const path = PROGRAM;
  assert.equal(failure({ path }), `2 The link with etcd at ${PROGRAM} has ended before it was ready`);
  assert.equal(
    failure({ path, hangs: true }),
    `2 The link with etcd at ${PROGRAM} was not ready within 30 s`,
  );
});

Deno.test("a question that does not fit into the socket's buffer is sent by and by", () => {
  const sends = [{ kind: "opened", protocol: 5 }] as const;
  const into: number[] = [];
  const whole = failure({ sends, into, takes: [1000, 10, -EAGAIN, 20, 1000] });
  assert.equal(whole, `2 The link with etcd at ${SOCKET} has ended`);
  assert.equal(
    new TextDecoder().decode(Uint8Array.from(into)),
    '{"kind":"open","protocol":5,"endpoints":{"urls":["http://etcd:2379"]}}\n' +
      '{"kind":"ask","id":1,"limitMs":4000,"question":{"kind":"versions"}}\n',
  );
});

Deno.test("a link that has gone, or does not read what it is asked, is told as that", () => {
  const sends = [{ kind: "opened", protocol: 5 }] as const;
  const which = `2 The link with etcd at ${SOCKET}`;
  assert.equal(failure({ sends, hangs: true, takes: [1000, -EPIPE] }), `${which} has ended`);
  assert.equal(
    failure({ sends, hangs: true, takes: [1000, 10, -EAGAIN] }),
    `${which} has not read what it is asked within 5 s`,
  );
  assert.equal(
    failure({ takes: [-EPIPE] }),
    `${which} has ended before it was ready: journalctl --unit='virtlockd-cluster@*' says why`,
  );
});
