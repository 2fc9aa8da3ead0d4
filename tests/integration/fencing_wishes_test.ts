import assert from "node:assert/strict";
import type { FenceTask } from "../../src/lockd/cluster/fencing/fence_messages.ts";
import { kernel } from "../support/kernel.ts";
import { Place } from "../support/place.ts";
import { Predecessor } from "../support/predecessor.ts";
import { reExec } from "../support/re_exec.ts";

// A daemon that is executed anew goes on with whose locks were asked for. Who fences is played here.

const HOST = {
  session: "s1",
  name: "kvm7",
  since: 1_795_230_578_000,
  reason: "domain 'web' asks",
  failures: 2,
};

/** Longer than a daemon takes to ask, in ms. */
const PATIENCE = 60_000;

/** Accepts a daemon that has a host fenced. @returns its connection, and what it asks for */
async function accepted(listener: Deno.UnixListener): Promise<readonly [Deno.UnixConn, FenceTask]> {
  const tooLong = setTimeout(() => listener.close(), PATIENCE);
  const connection = await listener.accept();
  clearTimeout(tooLong);
  const bytes = new Uint8Array(65_536);
  const length = await connection.read(bytes) ?? 0;
  return [connection, JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)))];
}

Deno.test("who is to be fenced is handed on from image to image, also over a slip in the configuration", async () => {
  using place = Place.create();
  const space = place.makeDirectory("scsi");
  const slip = `cluster_name = "prod"\ncluster_host_id = "kvm8"\ncluster_lockspaces = ["scsi=${space}"]\n`;
  const settings =
    `${slip}cluster_endpoints = ["http://localhost:1"]\ncluster_fence_command = "/usr/bin/true"\n`;
  place.writeConfig(settings);
  await using before = await Predecessor.start(place);
  using listener = Deno.listen({
    transport: "unix",
    path: `${place.directory}/run/libvirt/virtlockd-fence-sock`,
  });
  // As an image of another version hands it over, with a field that this one does not know.
  const fencing = { cluster: "prod", hosts: [{ ...HOST, asked: Math.floor(kernel.monotonic()), later: [] }] };
  const daemon = await before.handOver({
    daemon: { servers: { admin: before.adminServer(), virtlockd: before.lockServer() } },
    defaultLockspace: { resources: [] },
    lockspaces: [],
    denoVirtlockd: {
      version: 1,
      nextResourceId: 1,
      owners: [],
      dying: [],
      fencing,
      parked: [],
      kept: [],
      settings: {},
      cwd: "/",
      statistics: null,
      journal: null,
      notify: null,
    },
  });
  const [first, task] = await accepted(listener);
  using _first = first;
  const asked = ({ cluster, session, reason }: FenceTask) => ({ cluster, session, reason });
  const wish = { cluster: "prod", session: "s1", reason: "domain 'web' asks" };
  assert.deepEqual(asked(task), wish);
  await reExec(daemon);
  // What has not come to the program ends with the image that has begun it.
  assert.equal(await first.read(new Uint8Array(1)), null);
  const [second, again] = await accepted(listener);
  using _second = second;
  assert.deepEqual(asked(again), wish);
  place.writeConfig(slip);
  await reExec(daemon);
  assert.equal(await second.read(new Uint8Array(1)), null);
  place.writeConfig(settings);
  await reExec(daemon);
  const [third, last] = await accepted(listener);
  using _third = third;
  assert.deepEqual(asked(last), wish);
  const status = JSON.parse((await daemon.command("status", "--json")).stdout);
  const [host] = status.sections.cluster.fencing.hosts;
  assert.deepEqual([host.host, host.sinceMs, host.failures], ["kvm7", HOST.since, 2]);
});
