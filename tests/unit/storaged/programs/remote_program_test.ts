import assert from "node:assert/strict";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import type { Authority, Verdict } from "../../../../src/storaged/programs/authentication.ts";
import type { StorageService } from "../../../../src/storaged/model/storage_service.ts";
import {
  ConnectProcedure,
  PoolProcedure,
  RemoteMessage,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../../../src/storaged/wire/remote_protocol.ts";
import type { RawClient } from "../../../support/raw_client.ts";
import { StorageStage } from "../../../support/storage_stage.ts";

const POOL = { name: "p", uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f" };
const VOLUME = { pool: "p", name: "v", key: "/p/v" };
const pool = (writer: XdrWriter) => writePool(writer, POOL);
const poolFlags = (writer: XdrWriter) => {
  pool(writer);
  writer.u32(0);
};
const volumeFlags = (writer: XdrWriter) => {
  writeVolume(writer, VOLUME);
  writer.u32(0);
};

function open(
  stage: StorageStage,
  client: RawClient,
  name: string | undefined,
  flags = 0,
): XdrReader | string {
  return stage.call(client, ConnectProcedure.OPEN, (writer) => {
    writer.optionalString(name);
    writer.u32(flags);
  });
}

function reader(answer: XdrReader | string): XdrReader {
  assert.ok(answer instanceof XdrReader, String(answer));
  return answer;
}

Deno.test("before it is authenticated a client may only ask how that is done", () => {
  using stage = new StorageStage({
    authority: {
      methodFor: () => "polkit",
      trusts: () => false,
      ask: (_client, done) => done({ kind: "granted" }),
    },
  });
  const client = stage.connect();
  assert.equal(open(stage, client, undefined), "39/7 authentication required");
  assert.equal(stage.call(client, PoolProcedure.NUM_OF_POOLS), "39/7 authentication required");
  const methods = reader(stage.call(client, ConnectProcedure.AUTH_LIST));
  assert.deepEqual([methods.u32(), methods.i32()], [1, 2]);
  assert.equal(open(stage, client, undefined), "39/7 authentication required");
  assert.equal(reader(stage.call(client, ConnectProcedure.AUTH_POLKIT)).i32(), 1);
  reader(open(stage, client, undefined));
});

const VERDICTS: readonly [Exclude<Verdict, { kind: "granted" }>, string][] = [
  [{ kind: "denied" }, "45/60 authentication failed: access denied by policy"],
  [{ kind: "failed", reason: "x" }, "45/7 authentication failed: polkit could not be asked: x"],
  [{ kind: "cancelled" }, "79/60 authentication cancelled: user cancelled authentication process"],
  [
    { kind: "no-agent", action: "org.libvirt.unix.manage" },
    "94/60 authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
  ],
];
for (const [verdict, text] of VERDICTS) {
  Deno.test(`a client of which polkit says ${verdict.kind} stays outside`, () => {
    const authority: Authority = {
      methodFor: () => "polkit",
      trusts: () => false,
      ask: (_client, done) => done(verdict),
    };
    using stage = new StorageStage({ authority });
    const client = stage.connect();
    assert.equal(stage.call(client, ConnectProcedure.AUTH_POLKIT), text);
    assert.equal(open(stage, client, undefined), "39/7 authentication required");
  });
}

Deno.test("who needs no polkit cannot be asked by it, and SASL is refused", () => {
  using stage = new StorageStage();
  const client = stage.connect();
  const denied = "45/60 authentication failed: access denied by policy";
  assert.equal(stage.call(client, ConnectProcedure.AUTH_POLKIT), denied);
  for (const procedure of [67, 68, 69]) {
    assert.equal(stage.call(client, procedure), "45/7 authentication failed");
  }
});

Deno.test("nothing is served before a connection is opened, and it is opened once", () => {
  using stage = new StorageStage();
  const client = stage.connect();
  stage.call(client, ConnectProcedure.AUTH_LIST);
  assert.equal(stage.call(client, PoolProcedure.NUM_OF_POOLS), "1/7 internal error: connection not open");
  // What virsh of an ordinary user sends: bits that tell nothing to whoever is asked.
  reader(open(stage, client, "storage:///system", 6));
  assert.equal(open(stage, client, undefined), "1/7 internal error: connection already open");
});

Deno.test("the connection tells what it is", () => {
  using stage = new StorageStage({
    storage: { capabilities: (answer) => answer({ kind: "done", value: "<capabilities/>" }) },
  });
  const client = stage.open();
  assert.equal(reader(stage.call(client, ConnectProcedure.GET_TYPE)).string(100), "storage");
  assert.equal(reader(stage.call(client, ConnectProcedure.GET_URI)).string(100), "storage:///system");
  assert.equal(reader(stage.call(client, ConnectProcedure.IS_SECURE)).i32(), 1);
  assert.equal(reader(stage.call(client, ConnectProcedure.GET_LIB_VERSION)).u64(), 1_002_003n);
  assert.equal(reader(stage.call(client, ConnectProcedure.GET_CAPABILITIES)).string(100), "<capabilities/>");
  const features = [8, 9, 10, 14, 15, 16].map((feature) =>
    reader(stage.call(client, ConnectProcedure.SUPPORTS_FEATURE, (writer) => writer.i32(feature))).i32()
  );
  assert.deepEqual(features, [1, 0, 1, 1, 1, 0]);
  const hostname = "3/20 this function is not supported by the connection driver: virConnectGetHostname";
  assert.equal(stage.call(client, 59), hostname);
  const suspend = "3/20 this function is not supported by the connection driver: virDomainSuspend";
  assert.equal(stage.call(client, 34), suspend);
  // The list of networks.
  assert.equal(stage.call(client, 38), "1/7 internal error: connection not open");
});

/** What is refused to those who may only look, with libvirt's names of the functions. */
const REFUSED: readonly [number, string][] = [
  [PoolProcedure.FIND_POOL_SOURCES, "virConnectFindStoragePoolSources"],
  [PoolProcedure.CREATE_XML, "virStoragePoolCreateXML"],
  [PoolProcedure.DEFINE_XML, "virStoragePoolDefineXML"],
  [PoolProcedure.BUILD, "virStoragePoolBuild"],
  [PoolProcedure.UNDEFINE, "virStoragePoolUndefine"],
  [PoolProcedure.CREATE, "virStoragePoolCreate"],
  [PoolProcedure.DESTROY, "virStoragePoolDestroy"],
  [PoolProcedure.DELETE, "virStoragePoolDelete"],
  [PoolProcedure.REFRESH, "virStoragePoolRefresh"],
  [PoolProcedure.SET_AUTOSTART, "virStoragePoolSetAutostart"],
  [VolumeProcedure.CREATE_XML, "virStorageVolCreateXML"],
  [VolumeProcedure.CREATE_XML_FROM, "virStorageVolCreateXMLFrom"],
  [VolumeProcedure.DOWNLOAD, "virStorageVolDownload"],
  [VolumeProcedure.UPLOAD, "virStorageVolUpload"],
  [VolumeProcedure.DELETE, "virStorageVolDelete"],
  [VolumeProcedure.WIPE, "virStorageVolWipe"],
  [VolumeProcedure.WIPE_PATTERN, "virStorageVolWipePattern"],
  [VolumeProcedure.RESIZE, "virStorageVolResize"],
];

Deno.test("who came to the read-only socket, or opened so, may only look", () => {
  using stage = new StorageStage({
    storage: { poolNames: (_active, answer) => answer({ kind: "done", value: ["a", "b"] }) },
  });
  const asked = stage.connect();
  stage.call(asked, ConnectProcedure.AUTH_LIST);
  reader(open(stage, asked, "storage:///system", 1));
  for (const client of [stage.open(true), asked]) {
    for (const [procedure, api] of REFUSED) {
      const answer = stage.call(client, procedure);
      assert.equal(answer, `29/18 operation forbidden: read only access prevents ${api}`);
    }
    assert.equal(
      stage.call(client, ConnectProcedure.SET_IDENTITY, (writer) => {
        writer.u32(0);
        writer.u32(0);
      }),
      "29/18 operation forbidden: read only access prevents virConnectSetIdentity",
    );
    assert.equal(reader(stage.call(client, PoolProcedure.NUM_OF_POOLS)).i32(), 2);
  }
});

Deno.test("a daemon of libvirt's may say for whom it speaks where its client only looks", () => {
  using stage = new StorageStage({
    authority: {
      methodFor: () => "none",
      trusts: () => true,
      ask: (_client, done) => done({ kind: "denied" }),
    },
  });
  const asked = stage.connect();
  stage.call(asked, ConnectProcedure.AUTH_LIST);
  reader(open(stage, asked, "storage:///system", 1));
  for (const client of [stage.open(true), asked]) {
    const answer = reader(stage.call(client, ConnectProcedure.SET_IDENTITY, (writer) => {
      writer.u32(0);
      writer.u32(0);
    }));
    assert.equal(answer.remaining, 0);
    assert.equal(
      stage.call(client, PoolProcedure.REFRESH, poolFlags),
      "29/18 operation forbidden: read only access prevents virStoragePoolRefresh",
    );
  }
});

Deno.test("arguments that end too early are refused, and the connection stays", () => {
  using stage = new StorageStage();
  const client = stage.open();
  for (const procedure of [PoolProcedure.GET_INFO, VolumeProcedure.UPLOAD, ConnectProcedure.SET_IDENTITY]) {
    assert.equal(
      stage.call(client, procedure, (writer) => writer.u32(5)),
      "39/7 Unable to decode message payload",
    );
  }
  assert.equal(reader(stage.call(client, ConnectProcedure.IS_SECURE)).i32(), 1);
});

Deno.test("the old lists are cut to what was asked for, and no more than 16384 can be asked for", () => {
  using stage = new StorageStage({
    storage: {
      poolNames: (active, answer) => answer({ kind: "done", value: active ? ["a", "b"] : ["c"] }),
      volumeNames: (_pool, answer) => answer({ kind: "done", value: ["v", "w"] }),
    },
  });
  const client = stage.open();
  const one = reader(stage.call(client, PoolProcedure.LIST_POOLS, (writer) => writer.i32(1)));
  assert.deepEqual([one.u32(), one.string(9), one.remaining], [1, "a", 0]);
  const defined = reader(stage.call(client, PoolProcedure.LIST_DEFINED_POOLS, (writer) => writer.i32(9)));
  assert.deepEqual([defined.u32(), defined.string(9)], [1, "c"]);
  const volumes = reader(stage.call(client, PoolProcedure.LIST_VOLUMES, (writer) => {
    pool(writer);
    writer.i32(1);
  }));
  assert.deepEqual([volumes.u32(), volumes.string(9), volumes.remaining], [1, "v", 0]);
  const many = stage.call(client, PoolProcedure.LIST_POOLS, (writer) => writer.i32(16385));
  assert.equal(many, "1/7 internal error: maxnames > REMOTE_STORAGE_POOL_LIST_MAX");
});

Deno.test("a pool with more volumes than a list has is told so", () => {
  const all = Array.from({ length: 16385 }, () => VOLUME);
  using stage = new StorageStage({
    storage: { listVolumes: (_pool, _flags, answer) => answer({ kind: "done", value: all }) },
  });
  const client = stage.open();
  const ask = (wanted: number) =>
    stage.call(client, PoolProcedure.LIST_ALL_VOLUMES, (writer) => {
      pool(writer);
      writer.i32(wanted);
      writer.u32(0);
    });
  assert.equal(ask(1), "1/7 internal error: Too many storage_vols '16385' for limit '16384'");
  const count = reader(ask(0));
  assert.deepEqual([count.u32(), count.u32()], [0, 16385]);
});

Deno.test("a job runs for the client, or for whom it says that it speaks", () => {
  const callers: unknown[] = [];
  const storage: Partial<StorageService> = {
    refreshPool: (caller, _pool, _flags, answer) => {
      callers.push([caller.client, caller.pid === Deno.pid, caller.uid]);
      answer({ kind: "done", value: undefined });
    },
    deleteVolume: (caller, _volume, _flags, answer) => {
      callers.push([caller.client, caller.pid, caller.uid]);
      answer({ kind: "done", value: undefined });
    },
  };
  using stage = new StorageStage({ storage });
  const client = stage.open();
  reader(stage.call(client, PoolProcedure.REFRESH, poolFlags));
  reader(stage.call(client, ConnectProcedure.SET_IDENTITY, (writer) => {
    writer.u32(3);
    writer.string("process-id");
    writer.i32(3);
    writer.i64(4711n);
    writer.string("unix-user-id");
    writer.i32(4);
    writer.u64(1234n);
    writer.string("system.token");
    writer.i32(7);
    writer.string("secret");
    writer.u32(0);
  }));
  reader(stage.call(client, VolumeProcedure.DELETE, volumeFlags));
  assert.deepEqual(callers, [["1", true, Deno.uid()], ["1", 4711, 1234]]);
});

Deno.test("events come to who wants them, until it does not any more", () => {
  using stage = new StorageStage();
  const client = stage.open();
  const register = (event: number, about?: typeof POOL) =>
    stage.call(client, ConnectProcedure.POOL_EVENT_REGISTER_ANY, (writer) => {
      writer.i32(event);
      writer.bool(about !== undefined);
      if (about !== undefined) writePool(writer, about);
    });
  const other = { name: "o", uuid: "ffffffff-0405-0607-0809-0a0b0c0d0e0f" };
  assert.equal(reader(register(0, POOL)).i32(), 0);
  assert.equal(reader(register(1)).i32(), 1);
  assert.equal(register(2), "1/7 internal error: unsupported storage pool event ID 2");
  stage.events.happened({ kind: "lifecycle", pool: other, event: 2 });
  stage.events.happened({ kind: "lifecycle", pool: POOL, event: 2 });
  const { header, payload } = client.receive();
  const expected = { program: 0x20008086, version: 1, type: 2, serial: 1, status: 0 };
  assert.deepEqual(header, { ...expected, procedure: RemoteMessage.POOL_LIFECYCLE });
  const lifecycle = new XdrReader(payload);
  assert.equal(lifecycle.i32(), 0);
  lifecycle.opaque(24);
  assert.deepEqual([lifecycle.i32(), lifecycle.i32(), lifecycle.remaining], [2, 0, 0]);
  stage.events.happened({ kind: "refresh", pool: other });
  assert.deepEqual(client.receive().header, { ...expected, procedure: RemoteMessage.POOL_REFRESH });
  const drop = (callback: number) =>
    stage.call(client, ConnectProcedure.POOL_EVENT_DEREGISTER_ANY, (writer) => writer.i32(callback));
  reader(drop(1));
  assert.equal(drop(1), "1/7 internal error: storage pool event callback 1 not registered");
  stage.events.happened({ kind: "refresh", pool: other });
  assert.equal(client.quiet, true);
});

Deno.test("the close callback is registered once, and the connection is closed behind the answer", () => {
  using stage = new StorageStage();
  const client = stage.open();
  reader(stage.call(client, ConnectProcedure.REGISTER_CLOSE_CALLBACK));
  assert.equal(
    stage.call(client, ConnectProcedure.REGISTER_CLOSE_CALLBACK),
    "1/7 internal error: connection close callback already registered",
  );
  reader(stage.call(client, ConnectProcedure.UNREGISTER_CLOSE_CALLBACK));
  reader(stage.call(client, ConnectProcedure.CLOSE));
  client.untilClosed();
  assert.equal(stage.told.at(-1), "disconnected 1: closed on request");
});
