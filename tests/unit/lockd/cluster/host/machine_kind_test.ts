import assert from "node:assert/strict";
import { machineKind } from "../../../../../src/lockd/cluster/host/machine_kind.ts";
import { EMFILE } from "../../../../../src/os/errno.ts";
import { METAL, playedMachine } from "../../../../support/played_machine.ts";

const PIDS = "pid:[4026531836]";

Deno.test("a server is metal", () => {
  assert.deepEqual(machineKind(playedMachine()), { kind: "metal" });
});

Deno.test("a container is told by its namespace of pids and by what its manager leaves", () => {
  const kind = (files: Record<string, string>, pid = PIDS) =>
    machineKind(playedMachine({ ...METAL, ...files }, pid));
  assert.deepEqual(kind({}, "pid:[4026532201]"), { kind: "container", by: "it has pids of its own" });
  for (
    const path of [
      "/run/systemd/container",
      "/run/host/container-manager",
      "/run/.containerenv",
      "/.dockerenv",
    ]
  ) {
    assert.deepEqual(kind({ [path]: "x" }), { kind: "container", by: path });
    assert.deepEqual(kind({ [path]: "closed" }), { kind: "container", by: path });
  }
});

Deno.test("what cannot be told to be no container counts as one", () => {
  const kind = machineKind({ ...playedMachine(), readlink: () => -13 });
  assert.deepEqual(kind, { kind: "container", by: "it has pids of its own" });
});

Deno.test("what cannot be told to be no virtual machine counts as one", () => {
  for (
    const path of [
      "/proc/cpuinfo",
      "/sys/firmware/dmi/entries/0-0/raw",
      "/sys/class/dmi/id/sys_vendor",
      "/sys/class/dmi/id/product_name",
    ]
  ) {
    const sys = playedMachine();
    const kind = machineKind({
      ...sys,
      open: (each, ...rest) => each === path ? -EMFILE : sys.open(each, ...rest),
    });
    assert.deepEqual(kind, { kind: "virtual", by: `${path} cannot be read` });
  }
});

Deno.test("a virtual machine is told by the CPU, by its hypervisor's files and by the firmware's tables", () => {
  const by = (files: Record<string, string>) => {
    const kind = machineKind(playedMachine({ ...METAL, ...files }));
    return kind.kind === "virtual" ? kind.by : kind.kind;
  };
  assert.equal(by({ "/proc/cpuinfo": "flags\t\t: fpu hypervisor lahf_lm\n" }), "the CPU's flag 'hypervisor'");
  assert.equal(by({ "/proc/cpuinfo": "flags\t\t: fpu\nbugs\t\t: hypervisor_none\n" }), "metal");
  assert.equal(by({ "/sys/hypervisor/type": "xen\n" }), "/sys/hypervisor/type");
  assert.equal(by({ "/sys/class/dmi/id/sys_vendor": "QEMU\n" }), "QEMU");
  assert.equal(by({ "/sys/class/dmi/id/product_name": "VMware7,1\n" }), "VMware7,1");
  assert.equal(by({ "/sys/class/dmi/id/bios_vendor": "innotek GmbH\n" }), "innotek GmbH");
  const table = (extension: number) => String.fromCharCode(...new Array(0x13).fill(0), extension, 0);
  assert.equal(by({ "/sys/firmware/dmi/entries/0-0/raw": table(0x14) }), "the firmware says so");
  assert.equal(by({ "/sys/firmware/dmi/entries/0-0/raw": table(0x0c) }), "metal");
  assert.equal(by({ "/sys/firmware/dmi/entries/0-0/raw": "short" }), "metal");
});
