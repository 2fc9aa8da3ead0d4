import assert from "node:assert/strict";
import type { Reply } from "../../../../src/chassis/rpc/program.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import type { JobStatus } from "../../../../src/storaged/model/storage_service.ts";
import { CallCounts } from "../../../../src/storaged/status/call_counts.ts";
import type { ClientDocument } from "../../../../src/storaged/status/documents.ts";
import { statusProgram } from "../../../../src/storaged/status/status_program.ts";
import { playedStorage } from "../../../support/played_storage.ts";

const JOB: JobStatus = {
  id: 3,
  kind: "clone",
  pool: "p",
  volume: "v",
  caller: { pid: 12, uid: 0, client: "7" },
  since: 1000,
  done: 5n,
  total: 10n,
  state: "running",
  givenUp: false,
};

const CLIENT: ClientDocument = {
  id: 7,
  pid: 12,
  uid: 0,
  connected: 900,
  access: "look",
  calls: 1,
  streams: 0,
};

/** Calls a procedure of the program; its document, or the refusal's text. */
function call(procedure: number, job = 0, flags = 0, cancelled: number[] = []): unknown {
  const calls = new CallCounts();
  calls.served("StoragePoolGetInfo", 0, 2);
  calls.served("StoragePoolGetInfo", 49, 4);
  const program = statusProgram({
    service: playedStorage({
      jobs: [JOB],
      hungPools: ["b"],
      cancelJob: (id) => (cancelled.push(id), true),
      poolNames: (active, answer) => answer({ kind: "done", value: active ? ["a", "b"] : ["c"] }),
    }),
    calls,
    clients: () => [CLIENT],
    facts: () => ({
      version: "1.2.3",
      pid: 9,
      started: 5000,
      servers: [{ name: "virtstoraged", clients: 2, clientsMax: 5000 }],
      streams: 1,
      helpers: 4,
      idleTimeout: 0,
    }),
  });
  const peer = { clientId: 1, pid: 1, uid: 0, gid: 0, connectedAt: 0, security: "", pidfd: -1 };
  const args = new XdrWriter();
  args.u32(flags);
  args.u32(job);
  let told: unknown;
  const reply: Reply = {
    serial: 0,
    ok(encode) {
      const writer = new XdrWriter();
      encode?.(writer);
      told = JSON.parse(new XdrReader(writer.bytes).string(100_000));
    },
    fail: ({ message }) => void (told = message),
    okAndClose: () => assert.fail("it closes"),
  };
  program.connect(peer).call(procedure, new XdrReader(args.bytes), reply);
  return told;
}

Deno.test("the status counts clients, pools, jobs and helpers", () => {
  assert.deepEqual(call(1), {
    version: "1.2.3",
    pid: 9,
    started: 5000,
    servers: [{ name: "virtstoraged", clients: 2, clientsMax: 5000 }],
    streams: 1,
    helpers: 4,
    idleTimeout: 0,
    jobs: 1,
    pools: { active: 2, inactive: 1, hung: ["b"] },
  });
});

Deno.test("jobs are listed with how far they are and for whom", () => {
  assert.deepEqual(call(2), [{
    id: 3,
    kind: "clone",
    pool: "p",
    volume: "v",
    state: "running",
    since: 1000,
    done: 5,
    total: 10,
    pid: 12,
    uid: 0,
    client: "7",
  }]);
});

Deno.test("a job is cancelled by its number, and another one is not there", () => {
  const cancelled: number[] = [];
  assert.deepEqual(call(3, 3, 0, cancelled), { job: 3 });
  assert.deepEqual(cancelled, [3]);
  assert.equal(call(3, 4), "Requested operation is not valid: there is no job 4");
});

Deno.test("the metrics tell of calls, jobs and pools", () => {
  const lines = String(call(4)).split("\n").filter((line) => !line.startsWith("#"));
  assert.deepEqual(lines, [
    'virtstoraged_build_info{version="1.2.3"} 1',
    "virtstoraged_start_time_seconds 5",
    'virtstoraged_clients{server="virtstoraged"} 2',
    "virtstoraged_streams 1",
    'virtstoraged_pools{state="active"} 2',
    'virtstoraged_pools{state="inactive"} 1',
    "virtstoraged_pools_hung 1",
    'virtstoraged_jobs{state="waiting"} 0',
    'virtstoraged_jobs{state="running"} 1',
    'virtstoraged_jobs{state="hung"} 0',
    "virtstoraged_helpers 4",
    'virtstoraged_calls_total{procedure="StoragePoolGetInfo"} 2',
    'virtstoraged_call_failures_total{procedure="StoragePoolGetInfo"} 1',
    'virtstoraged_call_seconds_total{procedure="StoragePoolGetInfo"} 0.006',
    "",
  ]);
});

Deno.test("clients are listed as they are", () => {
  assert.deepEqual(call(5), [CLIENT]);
});

Deno.test("flags are refused", () => {
  assert.throws(() => call(2, 0, 1), { message: "unsupported flags (0x1) in function ListJobs" });
});
