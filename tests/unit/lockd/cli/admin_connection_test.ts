import assert from "node:assert/strict";
import { anything, number } from "../../../../src/base/shape.ts";
import { ForeignDaemonError } from "../../../../src/chassis/cli/admin_link.ts";
import { AdminConnection } from "../../../../src/lockd/cli/admin_connection.ts";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { rpcError, RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { onlyPage, PlayedDaemon, type Reaction } from "./cli_fixture.ts";

const EACCES = 13;
const EAGAIN = 11;
const ECONNREFUSED = 111;
const ENAMETOOLONG = 36;
const ENOENT = 2;

/** Code and message of what connecting, or asking, throws. */
function failure(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CommandError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "none";
}

function asking(
  react: (procedure: number, cursor: string) => Reaction,
  play = (_daemon: PlayedDaemon) => {},
): string {
  const daemon = new PlayedDaemon(react);
  play(daemon);
  const message = failure(() => {
    using connection = AdminConnection.connect(daemon.sys, "/run/sock", 2000);
    connection.document(1, anything);
  });
  assert.equal(daemon.open, 0);
  return message;
}

Deno.test("AdminConnection document() gives what the daemon answers", () => {
  const daemon = new PlayedDaemon((procedure) => onlyPage({ procedure }));
  using connection = AdminConnection.connect(daemon.sys, "/run/sock");
  assert.deepEqual(connection.document(1, anything), { procedure: 1 });
  assert.deepEqual(connection.document(4, anything), { procedure: 4 });
  assert.deepEqual(daemon.connected, ["/run/sock"]);
});

Deno.test("AdminConnection list() puts the pages together", () => {
  const pages: Record<string, Reaction> = {
    "": { json: "[1,2]", next: "b" },
    b: { json: "[]", next: "c" },
    c: { json: "[3]", next: "" },
  };
  const daemon = new PlayedDaemon((_procedure, cursor) => pages[cursor] ?? "end");
  using connection = AdminConnection.connect(daemon.sys, "/run/sock");
  assert.deepEqual(connection.list(2, number), [1, 2, 3]);
});

Deno.test("AdminConnection puts an answer together that comes byte by byte, or is larger than its buffer", () => {
  const long = "x".repeat(200_000);
  for (const [chunk, text] of [[1, "short"], [1000, long], [Infinity, long]] as const) {
    const daemon = new PlayedDaemon(() => onlyPage(text));
    daemon.chunk = chunk;
    using connection = AdminConnection.connect(daemon.sys, "/run/sock");
    assert.equal(connection.document(1, anything), text);
    assert.equal(connection.document(1, anything), text);
  }
});

Deno.test("AdminConnection connect() says when there is no daemon, or no permission", () => {
  for (
    const [errno, message] of [
      [ENOENT, "2 No daemon is running: nobody listens at /run/sock"],
      [ECONNREFUSED, "2 No daemon is running: nobody listens at /run/sock"],
      [EACCES, "2 No permission to connect to /run/sock"],
      [ENAMETOOLONG, "2 Connect to /run/sock: File name too long"],
    ] as const
  ) {
    const daemon = new PlayedDaemon(() => "silence");
    daemon.connectResults.push(-errno);
    assert.equal(failure(() => AdminConnection.connect(daemon.sys, "/run/sock")), message);
    assert.equal(daemon.open, 0);
  }
});

Deno.test("AdminConnection connect() waits while the backlog is full, but not for ever", () => {
  const daemon = new PlayedDaemon(() => onlyPage(5));
  daemon.connectResults.push(-EAGAIN, -EAGAIN, 0);
  using connection = AdminConnection.connect(daemon.sys, "/run/sock", 2000);
  assert.equal(connection.document(1, number), 5);
  assert.equal(daemon.waited, 40);
  const full = new PlayedDaemon(() => "silence");
  full.connectResults.push(...new Array<number>(1000).fill(-EAGAIN));
  assert.equal(
    failure(() => AdminConnection.connect(full.sys, "/run/sock", 2000)),
    "2 The daemon at /run/sock accepted no connection within 2 s",
  );
  assert.equal(full.waited, 2000);
  assert.equal(full.open, 0);
});

Deno.test("AdminConnection gives up on a daemon that does not answer in time", () => {
  assert.equal(asking(() => "silence"), "2 The daemon at /run/sock did not answer within 2 s");
});

Deno.test("AdminConnection says when the daemon closes the connection, and why another user's does", () => {
  assert.equal(asking(() => "end"), "2 The daemon at /run/sock closed the connection");
  assert.equal(
    asking(() => "end", (daemon) => {
      daemon.uid = 1000;
    }),
    "2 No permission: the daemon at /run/sock serves user 1000 only, this is user 0",
  );
});

Deno.test("AdminConnection tells libvirt's own daemon, which does not know the program", () => {
  const daemon = new PlayedDaemon(() => rpcError(7, "Cannot find program 1984719716 version 1"));
  using connection = AdminConnection.connect(daemon.sys, "/run/sock");
  assert.throws(() => connection.document(1, anything), (error) => {
    assert.equal(error instanceof ForeignDaemonError && error.code, 2);
    assert.match(String(error), /libvirt's own virtlockd/);
    return true;
  });
});

Deno.test("AdminConnection passes on why the daemon refuses", () => {
  assert.equal(
    asking(() => new RpcFailure(8, 62, "invalid argument: no", undefined, undefined)),
    "2 The daemon at /run/sock refused: no",
  );
});

Deno.test("AdminConnection does not trust what it reads", () => {
  assert.equal(
    asking(() => new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n")),
    "2 What listens at /run/sock is no virtlockd",
  );
  const short = new Uint8Array(32);
  short.set([0, 0, 0, 32]);
  short.set([255, 255, 255, 255], 28);
  assert.match(asking(() => short), /^2 The daemon at \/run\/sock answered what cannot be read: /);
});

Deno.test("AdminConnection says what is wrong with an answer that is none", () => {
  const answers: Record<string, string> = {
    "{": "expected JSON (",
    "3": "expected an array, got 3",
    '[{"id":1}]': "[0]: expected a number, got an object",
  };
  for (const [json, message] of Object.entries(answers)) {
    const daemon = new PlayedDaemon(() => ({ json, next: "" }));
    using connection = AdminConnection.connect(daemon.sys, "/run/sock");
    assert.equal(
      failure(() => connection.list(1, number)).startsWith(
        `2 The daemon at /run/sock answered what cannot be read: ${message}`,
      ),
      true,
    );
  }
});
