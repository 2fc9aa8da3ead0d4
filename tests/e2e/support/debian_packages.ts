import { CACHE } from "./cache.ts";
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
 * Installs the Debian packages that are missing on this host. Files of tests run side by side: one of them
 * installs at a time.
 *
 * @throws CommandError when apt-get cannot
 */
export async function installMissing(names: readonly string[]): Promise<void> {
  if ((await missing(names)).length === 0) return;
  await Deno.mkdir(CACHE, { recursive: true });
  // The lock goes with the file's descriptor.
  using lock = await Deno.open(`${CACHE}/packages.lock`, { create: true, write: true });
  await lock.lock(true);
  // Another test may have installed them meanwhile.
  const wanted = await missing(names);
  if (wanted.length === 0) return;
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, deadline: 600_000 };
  await runOk(host, ["apt-get", "update", "-q"], options);
  await runOk(host, ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...wanted], options);
}

/** Those that this process has found installed: it asks once for each. */
const INSTALLED = new Set<string>();

/** Those of them that this host does not have. */
async function missing(names: readonly string[]): Promise<string[]> {
  const unknown = names.filter((name) => !INSTALLED.has(name));
  if (unknown.length === 0) return [];
  // It fails when it does not know one, and has told of the others.
  const query = await host.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\\n", ...unknown]);
  for (const line of query.stdout.split("\n")) {
    const [status, name = ""] = line.split(" ");
    if (status === "installed") INSTALLED.add(name);
  }
  return unknown.filter((name) => !INSTALLED.has(name));
}
