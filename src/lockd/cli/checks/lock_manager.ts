import { type Check, type Finding, ok, type Patient, problem, warning } from "./check.ts";
import { readLibvirtConfig, textOf } from "./libvirt_config.ts";

const LOCKD = "lockd";

/** Whether libvirt asks this daemon for locks at all. */
export const lockManager: Check = {
  name: "lock manager",
  run: (patient) => [
    ...inspect(patient, "qemu.conf", true),
    // Installed everywhere along with libvirt; its driver runs in the control domain of Xen alone.
    ...(isXenControlDomain(patient) ? inspect(patient, "libxl.conf", false) : []),
  ],
};

function isXenControlDomain({ host }: Patient): boolean {
  return host.read("/proc/xen/capabilities")?.startsWith("control_d") ?? false;
}

function inspect({ host }: Patient, name: string, expected: boolean): Finding[] {
  const config = readLibvirtConfig(host, name);
  const path = `${host.places.config}/${name}`;
  const restart = "then restart libvirtd, and each guest that runs";
  if (config.kind === "absent") {
    if (!expected) return [];
    const why = host.kind(path) === undefined ? "is not there" : "cannot be read";
    return [
      warning(
        `${path} ${why}: libvirt's default is no lock manager`,
        `Where libvirt is installed, set lock_manager = "${LOCKD}" there, ${restart}`,
      ),
    ];
  }
  if (config.kind === "broken") {
    return [
      problem(
        `${path} is broken: ${config.reason}`,
        "Correct the line; libvirt's driver does not start with it",
      ),
    ];
  }
  const manager = textOf(config, "lock_manager");
  if (manager === LOCKD) return [ok(`${path} has lock_manager = "${LOCKD}"`)];
  if (manager === "sanlock") {
    return [
      warning(
        `${path} has lock_manager = "sanlock": this daemon is not asked`,
        `If that is not meant, set it to "${LOCKD}", ${restart}`,
      ),
    ];
  }
  return [
    problem(
      manager === undefined
        ? `${path} sets no lock_manager: guests start without any lock`
        : `${path} has lock_manager = "${manager}": guests start without a lock of this daemon`,
      `Set lock_manager = "${LOCKD}" there, ${restart}`,
    ),
  ];
}
