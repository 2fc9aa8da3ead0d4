import { readSmallFile } from "../../os/read_file.ts";
import type { FileSys } from "../../os/sys.ts";

/** The program that asks the service manager. */
export const SYSTEMCTL = "/usr/bin/systemctl";

/** systemd's own notify socket; another address is another service manager's. */
export const SYSTEMD_NOTIFY = "/run/systemd/notify";

/** The service whose process one is. @param cgroup text of its /proc/PID/cgroup */
export function serviceUnit(cgroup: string): string | undefined {
  return /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1];
}

/** The service whose process this is that asks. */
export function ownService(sys: Pick<FileSys, "open" | "read" | "close">): string | undefined {
  return serviceUnit(readSmallFile(sys, "/proc/self/cgroup") ?? "");
}

/** Arguments of {@link SYSTEMCTL} that show how long a service may give no sign of life. */
export function watchdogQuery(unit: string): string[] {
  return ["show", "--property=WatchdogUSec", "--property=LoadState", unit];
}

/**
 * Why systemd may still wait for signs of life, by what that prints; undefined when the service may be silent
 * for ever. systemd takes no messages for a masked unit, also not that the watchdog is off.
 */
export function watchReason(unit: string, output: string): string | undefined {
  const value = /^WatchdogUSec=(.*)$/m.exec(output)?.[1];
  if (value === "0" || value === "infinity") return undefined;
  return /^LoadState=masked$/m.test(output)
    ? `${unit} is masked, and systemd takes no messages for such a unit. Run 'systemctl unmask ${unit}', and try again`
    : `systemctl says '${output.trim().replaceAll("\n", ", ")}'`;
}
