import { host, runOk } from "./command.ts";

/** libvirt's own daemons and clients, and QEMU: what the lab and a machine of the lab need. */
export const LIBVIRT_PACKAGES: readonly string[] = [
  "libvirt-daemon",
  "libvirt-daemon-system",
  "libvirt-clients",
  "libvirt-daemon-driver-qemu",
  "qemu-system-x86",
  "qemu-utils",
];

/**
 * Installs the Debian packages that are missing on this host.
 *
 * @throws CommandError when apt-get cannot
 */
export async function installMissing(names: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of names) {
    const query = await host.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name]);
    if (query.stdout !== "installed") {
      missing.push(name);
    }
  }
  if (missing.length === 0) {
    return;
  }
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, deadline: 600_000 };
  await runOk(host, ["apt-get", "update", "-q"], options);
  await runOk(host, ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...missing], options);
}
