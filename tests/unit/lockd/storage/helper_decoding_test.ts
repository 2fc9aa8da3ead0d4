import assert from "node:assert/strict";
import { ShapeError } from "../../../../src/base/shape.ts";
import { decodeFromHelper, decodeToHelper } from "../../../../src/lockd/storage/helper_decoding.ts";
import {
  encodeMessage,
  type FromHelper,
  type StorageResult,
  type StorageTask,
  type ToHelper,
} from "../../../../src/lockd/storage/helper_protocol.ts";
import { encodeText } from "../../../../src/os/text.ts";
import { withOneReplaced } from "../../../support/damaged.ts";

const IDENTITY = { devMajor: 8, devMinor: 1, inodeLow: 7, inodeHigh: 0 };
const OWNER = { pid: 5, name: "a", uuid: "6ba7b810", id: 3, namespace: "4026", hostPid: 6 };
const FAILURE = { action: "Unable to close", errno: 5, released: true };
const PROGRAM = { path: "/bin/x", argv: ["x"], env: ["A=b"] };
const FLAGS = { shared: false, autocreate: true };

const TASKS: readonly StorageTask[] = [
  {
    op: "lock",
    request: { path: "/a", ...FLAGS, create: true, followLinks: false, record: "r", owner: OWNER },
  },
  { op: "unlock", request: { path: "/a", lock: "ofd", ...FLAGS, force: true, paused: OWNER } },
  { op: "create", path: "/a", followLinks: true },
  { op: "remove", path: "/a" },
  { op: "make-directory", path: "/a" },
  { op: "set-lock", path: "/a", type: 2 },
  { op: "probe", path: "/a" },
  { op: "check-directory", path: "/a" },
  { op: "find-owner", path: "/a" },
  { op: "find-holder", path: "/a", identity: IDENTITY, shared: true },
  { op: "judge-guards", question: { names: ["08:01:7"], sync: true, others: "o", devices: true } },
  { op: "judge-openers", identity: IDENTITY },
  { op: "sync", path: "/a" },
  { op: "run", command: PROGRAM, limit: 1000 },
];

const TO_HELPER: readonly ToHelper[] = [
  { kind: "become", version: "5", ids: { uid: 7, gid: 8 } },
  ...TASKS.map((task, id): ToHelper => ({ kind: "task", id, task })),
  { kind: "settled", id: 3 },
  { kind: "undo", id: 3 },
  { kind: "spawn", command: PROGRAM },
];

const RESULTS: readonly StorageResult[] = [
  { kind: "granted", identity: IDENTITY, recordErrno: 28 },
  { kind: "refused", outcome: { kind: "busy", identity: IDENTITY, pid: 4 } },
  { kind: "refused", outcome: { kind: "failed", action: "Unable to open", errno: 13, target: IDENTITY } },
  { kind: "undone", path: "/a", failure: FAILURE },
  { kind: "released", failure: FAILURE },
  { kind: "done", failure: { kind: "system", action: "Unable to unlink", errno: 30, local: true } },
  { kind: "done", failure: { kind: "not-a-directory", path: "/a" } },
  { kind: "done", failure: { kind: "storage", action: "Unable to unlink", reason: "no answer" } },
  { kind: "checked", failure: { kind: "unfit", reason: "others may write" } },
  { kind: "holder", holder: { kind: "process", pid: 4, command: "qemu" } },
  { kind: "holder", holder: { kind: "record", text: "host a" } },
  { kind: "holder", holder: { kind: "other-host" } },
  { kind: "holder", holder: { kind: "file-system", mount: "/mnt" } },
  {
    kind: "holder",
    holder: {
      kind: "host",
      host: "b",
      silentSince: 5,
      shared: true,
      domain: "d",
      uuid: "u",
      pid: 6,
      since: 7,
    },
  },
  { kind: "holder", holder: { kind: "unknown" } },
  { kind: "judged", verdict: { kind: "over" } },
  { kind: "judged", verdict: { kind: "busy", reason: "it writes" } },
  { kind: "denied", verdict: { kind: "unknown", reason: "it is open", opener: "seen" } },
  { kind: "owner", owner: { path: "/a", uid: 7, gid: 8 } },
  { kind: "owner" },
  { kind: "ran", program: { kind: "ended", code: 0, output: "x" } },
  { kind: "ran", program: { kind: "failed", reason: "not there" } },
];

const FROM_HELPER: readonly FromHelper[] = [
  { kind: "ready", pid: 4 },
  { kind: "failed", reason: "no memory" },
  ...RESULTS.map((result, id): FromHelper => ({ kind: "result", id, result })),
];

Deno.test("decodeToHelper() gives back every kind of message", () => {
  for (const message of TO_HELPER) assert.deepEqual(decodeToHelper(encodeMessage(message)), message);
});

Deno.test("decodeFromHelper() gives back every kind of message", () => {
  for (const message of FROM_HELPER) assert.deepEqual(decodeFromHelper(encodeMessage(message)), message);
});

Deno.test("neither takes a message of which any part is something else", () => {
  // There is neither a list of lists nor a null anywhere.
  for (const wrong of [[[]], null]) {
    for (
      const [messages, decode] of [[TO_HELPER, decodeToHelper], [FROM_HELPER, decodeFromHelper]] as const
    ) {
      for (const damaged of messages.flatMap((message) => [...withOneReplaced(message, wrong)])) {
        const text = JSON.stringify(damaged);
        assert.throws(() => decode(encodeText(text)), ShapeError, text);
      }
    }
  }
});

Deno.test("neither takes what is cut, or what the other one says", () => {
  for (const text of ["", "{", "[]", "null", '{"kind":"result","id":1}']) {
    assert.throws(() => decodeFromHelper(encodeText(text)), ShapeError, text);
  }
  assert.throws(() => decodeToHelper(encodeText('{"kind":"ready","pid":4}')), ShapeError);
  assert.throws(() => decodeFromHelper(encodeText('{"kind":"undo","id":4}')), ShapeError);
});
