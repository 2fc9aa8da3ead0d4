// The storage daemon as a whole, in a session of its own: start and end, pools and volumes over its socket,
// and what becomes of things that are under way when a process is killed.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { PoolRef } from "../../src/storaged/model/storage_service.ts";
import {
  ConnectProcedure,
  PoolProcedure,
  VolumeProcedure,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import { Place } from "../support/place.ts";
import {
  beginUpload,
  makePool,
  makeVolume,
  poolFlags,
  range,
  sendPacket,
  volumeNames,
} from "../support/storage_calls.ts";
import { StorageDaemon } from "../support/storage_daemon.ts";
import { answerOf, remoteFrame } from "../support/storage_stage.ts";
import { until } from "../support/until.ts";

Deno.test("a session's daemon serves its user, and leaves nothing behind when it is told to end", async () => {
  await using daemon = await StorageDaemon.start();
  {
    using client = daemon.open();
    assert.equal(client.call(ConnectProcedure.GET_URI).string(100), "storage:///session");
    assert.equal(client.call(PoolProcedure.NUM_OF_POOLS).i32(), 0);
  }
  assert.equal(existsSync(`${daemon.socket}-ro`), false);
  for (const name of ["virtstoraged-sock", "virtstoraged-admin-sock"]) {
    assert.equal((Deno.statSync(`${daemon.run}/${name}`).mode ?? 0) & 0o777, 0o700);
  }
  daemon.process.kill("SIGTERM");
  assert.equal((await daemon.status).code, 0);
  assert.equal(existsSync(daemon.socket), false);
  assert.equal(existsSync(`${daemon.run}/virtstoraged.pid`), false);
});

Deno.test("a socket whose path is deleted, or taken by something else, is made anew", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  for (const taken of [false, true]) {
    if (taken) {
      // In one step: the daemon makes the socket anew as soon as it is gone.
      Deno.writeTextFileSync(`${daemon.socket}.new`, "");
      Deno.renameSync(`${daemon.socket}.new`, daemon.socket);
    } else Deno.removeSync(daemon.socket);
    await until("the socket to be there again", () => {
      try {
        daemon.open()[Symbol.dispose]();
        return true;
      } catch {
        return false;
      }
    });
  }
  assert.equal((Deno.statSync(daemon.socket).mode ?? 0) & 0o777, 0o700);
  assert.equal(client.call(ConnectProcedure.GET_URI).string(100), "storage:///session");
});

Deno.test("without a client it ends after its timeout, though a pool is active", async () => {
  await using daemon = await StorageDaemon.start();
  {
    using client = daemon.open();
    makePool(daemon, client);
  }
  daemon.process.kill("SIGTERM");
  assert.equal((await daemon.status).code, 0);
  // Its pool stays active, and is that of the next one, to which nobody comes.
  const active = `${daemon.run}/storage/run/p.xml`;
  assert.ok(existsSync(active));
  await using next = daemon.startCommand("--timeout=1");
  assert.equal((await next.wait()).code, 0);
  assert.ok(existsSync(active));
});

Deno.test("its commands tell of its clients, and serve its metrics", async () => {
  await using daemon = await StorageDaemon.start();
  assert.equal(await daemon.command("clients"), "No client is connected\n");
  using client = daemon.open();
  const pool = makePool(daemon, client);
  beginUpload(client, makeVolume(client, pool, "v", 1 << 20));
  assert.match(await daemon.command("clients"), /^\d+ +\d+ +\S+ +\S+ \S+ +everything +0 +1$/m);
  await using exporter = daemon.startCommand("exporter", "--listen", "127.0.0.1:0");
  const [, port] = await exporter.stdout.match(/^Serving metrics at 127\.0\.0\.1:(\d+)\n/);
  const metrics = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const text = await metrics();
  for (const line of ["up 1", "virtstoraged_up 1", "virtstoraged_streams 1"]) {
    assert.ok(text.split("\n").includes(line), line);
  }
  daemon.process.kill("SIGKILL");
  await daemon.status;
  const samples = (await metrics()).split("\n").filter((line) => /^[a-z]/.test(line));
  assert.deepEqual(samples, ["up 0", "virtstoraged_up 0"]);
});

Deno.test("what is uploaded can be downloaded, and is in the file", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const volume = makeVolume(client, pool, "v", 16);
  beginUpload(client, volume);
  sendPacket(client, "0123");
  sendPacket(client, "4567");
  client.raw.send(remoteFrame(VolumeProcedure.UPLOAD, 77, () => {}, MessageType.STREAM));
  assert.equal(client.raw.receive().header.status, MessageStatus.OK);
  const text = "01234567" + "\0".repeat(8);
  assert.equal(Deno.readTextFileSync(`${daemon.place.directory}/pool/v`), text);
  client.raw.send(remoteFrame(VolumeProcedure.DOWNLOAD, 78, (writer) => range(writer, volume)));
  assert.equal(client.raw.receive().header.type, MessageType.REPLY);
  let received = "";
  for (;;) {
    const { header, payload } = client.raw.receive();
    assert.deepEqual([header.type, header.serial], [MessageType.STREAM, 78]);
    if (payload.length === 0) break;
    received += new TextDecoder().decode(payload);
  }
  assert.equal(received, text);
});

Deno.test("while it is uploaded a volume refuses what would harm it, and an abort frees it at once", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  using other = daemon.open();
  const pool = makePool(daemon, client);
  const volume = makeVolume(client, pool, "v", 1 << 20);
  beginUpload(client, volume);
  sendPacket(client, "0123");
  const remove = (writer: XdrWriter) => {
    writeVolume(writer, volume);
    writer.u32(0);
  };
  const refused = other.ask(VolumeProcedure.DELETE, remove);
  assert.match(String(refused), /^55\/18 Requested operation is not valid: volume 'v' is still in use/);
  assert.deepEqual(volumeNames(other, pool), ["v"]);
  other.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, pool));
  client.raw.send(
    remoteFrame(VolumeProcedure.UPLOAD, 77, () => {}, MessageType.STREAM, MessageStatus.ERROR),
  );
  client.raw.receive();
  client.call(VolumeProcedure.DELETE, remove);
  assert.deepEqual(volumeNames(other, pool), []);
});

Deno.test("a client that is killed in an upload leaves the volume free and no job", async () => {
  await using daemon = await StorageDaemon.start();
  using other = daemon.open();
  const pool = makePool(daemon, other);
  const volume = makeVolume(other, pool, "v", 1 << 20);
  {
    using client = daemon.open();
    beginUpload(client, volume);
    sendPacket(client, "0123");
  }
  await until("the volume to be free", () => {
    const answer = other.ask(VolumeProcedure.DELETE, (writer) => {
      writeVolume(writer, volume);
      writer.u32(0);
    });
    return typeof answer !== "string";
  });
});

Deno.test("a daemon that is killed in an upload leaves no helper, and the next one has the pool", async () => {
  using place = Place.create();
  let pool: PoolRef;
  {
    await using daemon = await StorageDaemon.start([], place);
    using client = daemon.open();
    pool = makePool(daemon, client);
    const volume = makeVolume(client, pool, "v", 1 << 20);
    beginUpload(client, volume);
    sendPacket(client, "0123");
    assert.ok(daemon.helpers().length > 0);
    daemon.process.kill("SIGKILL");
    await daemon.status;
    await until("the helpers to end", () => daemon.helpers().length === 0);
  }
  await using daemon = await StorageDaemon.start([], place);
  using client = daemon.open();
  assert.deepEqual(volumeNames(client, pool), ["v"]);
});

Deno.test("a daemon that is told to end waits for an upload that is under way", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const volume = makeVolume(client, pool, "v", 1 << 20);
  beginUpload(client, volume);
  daemon.process.kill("SIGTERM");
  sendPacket(client, "0123");
  client.raw.send(remoteFrame(VolumeProcedure.UPLOAD, 77, () => {}, MessageType.STREAM));
  assert.equal(client.raw.receive().header.status, MessageStatus.OK);
  assert.equal((await daemon.status).code, 0);
  assert.equal(Deno.readTextFileSync(`${daemon.place.directory}/pool/v`).slice(0, 4), "0123");
});

Deno.test("a service manager that cannot be reached is no reason not to serve, and is told of in the log", async () => {
  using place = Place.create();
  const log = `${place.directory}/log`;
  const socket = `${place.directory}/nobody-listens`;
  await using daemon = await StorageDaemon.start([], place, {
    NOTIFY_SOCKET: socket,
    LIBVIRT_LOG_OUTPUTS: `1:file:${log}`,
  });
  daemon.open()[Symbol.dispose]();
  assert.match(
    Deno.readTextFileSync(log),
    /warning : .*connect NOTIFY_SOCKET \S+nobody-listens: .*\(ENOENT\); the service manager is told nothing$/m,
  );
});

Deno.test("SIGHUP says once which keys wait for a restart, and takes the others over", async () => {
  using place = Place.create();
  const log = `${place.directory}/log`;
  const configure = (text: string) => {
    Deno.mkdirSync(`${place.env["XDG_CONFIG_HOME"]}/libvirt`, { recursive: true });
    Deno.writeTextFileSync(`${place.env["XDG_CONFIG_HOME"]}/libvirt/virtstoraged.conf`, text);
  };
  await using daemon = await StorageDaemon.start([], place, {
    LIBVIRT_LOG_OUTPUTS: `1:file:${log}`,
    LIBVIRT_DEBUG: "2",
  });
  const lines = (text: string) =>
    Deno.readTextFileSync(log).split("\n").filter((line) => line.includes(text));
  const hang = async () => {
    const before = lines("Configuration read again").length;
    daemon.process.kill("SIGHUP");
    await until("reading", () => lines("Configuration read again").length > before);
  };
  const said = "Changed in the configuration, and not taken over by SIGHUP";
  configure("storage_timeout = 7\nmax_clients = 9\n");
  await hang();
  assert.deepEqual(lines(said), []);
  configure('unix_sock_group = "daemon"\nunix_sock_rw_perms = "0700"\nstorage_timeout = 8\n');
  await hang();
  await hang();
  assert.equal(lines(said).length, 1);
  assert.match(
    lines(said)[0] ?? "",
    /warning : .*SIGHUP: unix_sock_group, unix_sock_rw_perms\. 'systemctl restart virtstoraged' takes it over; jobs/,
  );
});

Deno.test("a stream too many is refused at once, though none of the others ends before that", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const volumes = Array.from({ length: 17 }, (_, index) => makeVolume(client, pool, `v${index}`, 16));
  const answers = volumes.map((volume, index) => {
    client.raw.send(remoteFrame(VolumeProcedure.UPLOAD, 100 + index, (writer) => range(writer, volume)));
    const answer = answerOf(client.raw.receive());
    return typeof answer === "string" ? answer : "begun";
  });
  const refusal = "39/7 There are 16 streams on this connection already";
  assert.deepEqual(answers, [...Array.from({ length: 16 }, () => "begun"), refusal]);
  assert.equal(
    (await daemon.command("jobs")).split("\n").filter((line) => line.includes("p/v16 ")).length,
    0,
  );
});
