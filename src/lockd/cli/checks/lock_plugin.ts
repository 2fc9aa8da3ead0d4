import type { Host } from "../guests/host.ts";
import { type Check, ok, problem } from "./check.ts";
import { readLibvirtConfig, textOf } from "./libvirt_config.ts";

/** Library directories of the distributions; libvirt's plugins are below one of them, or below one deeper. */
const LIBRARIES = ["/usr/lib64", "/usr/lib", "/usr/local/lib64", "/usr/local/lib"];
const PLUGINS = "libvirt/lock-driver";
/** Daemons of libvirt that load the plugin. */
const DAEMONS = ["/usr/sbin/libvirtd", "/usr/sbin/virtqemud", "/usr/sbin/virtxend", "/usr/bin/libvirtd"];

/**
 * Whether libvirt has the plugin through which it asks this daemon: without it, its driver does not start.
 */
export const lockPlugin: Check = {
  name: "lock plugin",
  run({ host }) {
    if (textOf(readLibvirtConfig(host, "qemu.conf"), "lock_manager") !== "lockd") return [];
    const found = pluginDirectories(host).map((directory) => `${directory}/lockd.so`).find((path) =>
      host.kind(path) === "other"
    );
    if (found !== undefined) return [ok(`libvirt's plugin is installed: ${found}`)];
    // Where libvirt itself is not to be found, neither is where it keeps its plugins.
    if (!DAEMONS.some((path) => host.kind(path) !== undefined)) return [];
    return [
      problem(
        'libvirt\'s plugin lockd.so is not installed, but lock_manager = "lockd" needs it: libvirt does not start',
        "Install the package with it, libvirt-daemon-plugin-lockd or on older systems libvirt-daemon, and restart libvirtd",
      ),
    ];
  },
};

function pluginDirectories(host: Host): string[] {
  return LIBRARIES.flatMap((library) => [
    `${library}/${PLUGINS}`,
    // Debian has a directory for each architecture.
    ...host.list(library).filter((name) => name.includes("-linux-")).map((name) =>
      `${library}/${name}/${PLUGINS}`
    ),
  ]);
}
