import assert from "node:assert/strict";
import { daemonMark, isEarlier } from "../../../../../src/lockd/cluster/host/daemon_mark.ts";
import { ENOENT } from "../../../../../src/os/errno.ts";
import { processState } from "../../../../../src/os/process_state.ts";
import { kernel } from "../../../../support/kernel.ts";

/** The kernel as a process sees it in this pid namespace, with its run directory on that device. */
function seen(namespace: string | number, device: readonly [number, number] | undefined) {
  return {
    ...kernel,
    readlink: () => namespace,
    stat: (...[_path, into]: Parameters<typeof kernel.stat>) => {
      if (device === undefined) return -ENOENT;
      Object.assign(into, { devMajor: device[0], devMinor: device[1] });
      return 0;
    },
  };
}

Deno.test("a daemon's mark tells its pid namespace, its run directory's file system and its process", () => {
  const start = processState(kernel, Deno.pid)?.startTime;
  assert.deepEqual(daemonMark(seen("pid:[4026531836]", [0, 25]), "/run/libvirt"), {
    place: "4026531836 0:25",
    pid: Deno.pid,
    start,
  });
  for (const sys of [seen(-ENOENT, [0, 25]), seen("pid:[4026531836]", undefined)]) {
    assert.equal(daemonMark(sys, "/run/libvirt").place, "");
  }
});

Deno.test("an earlier daemon is one of the same place whose process is gone, or this one", () => {
  const own = daemonMark(kernel, "/run");
  const gone = { pid: 4_194_304, start: 5 };
  const other = { pid: Deno.ppid, start: processState(kernel, Deno.ppid)?.startTime ?? 0 };
  assert.notEqual(own.place, "");
  assert.equal(isEarlier(kernel, own, own), true);
  assert.equal(isEarlier(kernel, own, { ...own, ...gone }), true);
  assert.equal(isEarlier(kernel, own, { ...own, ...other }), false);
});

Deno.test("a daemon of another place, or of one that is not known, is no earlier one", () => {
  const own = daemonMark(kernel, "/run");
  const gone = { pid: 4_194_304, start: 5 };
  assert.equal(isEarlier(kernel, own, { ...gone, place: "4026532200 0:40" }), false);
  assert.equal(isEarlier(kernel, { ...own, place: "" }, { ...gone, place: "" }), false);
});
