/** The program that asks the service manager. */
export const SYSTEMCTL = "/usr/bin/systemctl";

/** systemd's own notify socket; another address is another service manager's. */
export const SYSTEMD_NOTIFY = "/run/systemd/notify";

/** The service whose process this is. @param cgroup text of /proc/self/cgroup */
export function serviceUnit(cgroup: string): string | undefined {
  return /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1];
}

/** Arguments of {@link SYSTEMCTL} that show how long a service may give no sign of life. */
export function watchdogQuery(unit: string): string[] {
  return ["show", "--value", "--property=WatchdogUSec", unit];
}

/** Whether what that prints says that the service may be silent for ever. */
export function isUnwatched(output: string): boolean {
  return ["0", "infinity"].includes(output.trim());
}
