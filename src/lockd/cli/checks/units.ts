import type { Host } from "../guests/host.ts";
import { type Check, type Finding, ok, problem, warning } from "./check.ts";

const UNITS = ["virtlockd.service", "virtlockd.socket", "virtlockd-admin.socket"] as const;
/** Where the packages have our units: that of Debian, and all others. */
const OURS = ["/usr/lib/virtlockd/system", "/usr/share/deno-virtlockd"];
/** Where an administrator's units are, and then those of packages, in systemd's order: systemd.unit(5). */
const ADMINISTRATORS = ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system"];
const PACKAGES = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/** What a unit has to set so that locks outlive the daemon, and what happens otherwise. */
const NEEDED: Readonly<Record<typeof UNITS[number], Readonly<Record<string, string>>>> = {
  "virtlockd.service": {
    FileDescriptorStoreMax: "a crash loses every lock",
    Restart: "a daemon that crashed is not started again",
    StartLimitIntervalSec: "several crashes lose every lock",
    KillMode: "a restart may wait for helpers of hung storage",
  },
  "virtlockd.socket": {
    TriggerLimitIntervalSec: "clients that come after a crash may make it lose every lock",
  },
  "virtlockd-admin.socket": {
    TriggerLimitIntervalSec: "commands that come after a crash may close the admin socket",
  },
};

/** Which file of a unit systemd uses. */
type InForce =
  | { readonly kind: "none" }
  | { readonly kind: "ours" }
  | { readonly kind: "masked"; readonly path: string }
  | { readonly kind: "libvirt's"; readonly path: string }
  | { readonly kind: "administrator's"; readonly path: string };

/** Whether systemd uses the units of this package, or others that are as good. */
export const units: Check = {
  name: "units",
  run({ host }) {
    // An ordinary user's daemon is none of systemd's.
    if (!host.isRoots) return [];
    const ours = OURS.find((directory) => host.kind(`${directory}/virtlockd.service`) !== undefined);
    if (ours === undefined || host.kind("/run/systemd/system") !== "directory") return [];
    const findings = UNITS.flatMap((unit) => judge(host, unit, ours));
    return findings.length > 0 ? findings : [ok("systemd's units of the daemon keep its locks over a crash")];
  },
};

function judge(host: Host, unit: typeof UNITS[number], ours: string): Finding[] {
  const mend = `ln -sf ${ours}/${unit} /etc/systemd/system/ && systemctl daemon-reload && ` +
    "systemctl reload virtlockd";
  const inForce = whichInForce(host, unit, ours);
  switch (inForce.kind) {
    case "ours":
      return [];
    case "none":
      return [warning(`systemd knows no ${unit}`, `Put the link to ours back: ${mend}`)];
    case "masked":
      return [
        problem(`${unit} is masked: it cannot be started`, `Run: systemctl unmask ${unit}; then: ${mend}`),
      ];
    case "libvirt's": {
      const [harm] = lacking(host, unit, inForce.path).values();
      const harms = [harm, stopsAlong(host, unit, inForce.path)].filter((one) => one !== undefined);
      return [warning(
        `systemd uses libvirt's ${inForce.path}, not ours: ${
          harms.length === 0 ? "this daemon was not tried with it" : harms.join("; ")
        }`,
        `'systemctl disable' and 'systemctl revert' delete the link to ours; put it back: ${mend}`,
      )];
    }
    case "administrator's": {
      const advice = `Set it as ${ours}/${unit} does, or use ours: rm ${inForce.path} && ${mend}`;
      const along = stopsAlong(host, unit, inForce.path);
      return [
        ...[...lacking(host, unit, inForce.path)].map(([setting, harm]) =>
          warning(`systemd uses ${inForce.path}, which is not ours and sets no ${setting}=: ${harm}`, advice)
        ),
        ...along === undefined
          ? []
          : [warning(`systemd uses ${inForce.path}, which is not ours: ${along}`, advice)],
      ];
    }
  }
}

function whichInForce(host: Host, unit: string, ours: string): InForce {
  for (const directory of [...ADMINISTRATORS, ...PACKAGES]) {
    const path = `${directory}/${unit}`;
    const link = host.link(path);
    if (link === undefined && host.kind(path) === undefined) continue;
    if (link === `${ours}/${unit}`) return { kind: "ours" };
    if (link === "/dev/null") return { kind: "masked", path };
    return { kind: PACKAGES.includes(directory) ? "libvirt's" : "administrator's", path };
  }
  return { kind: "none" };
}

/** What a unit does not set, itself or in a drop-in, and what comes of that. */
function lacking(host: Host, unit: typeof UNITS[number], path: string): ReadonlyMap<string, string> {
  const text = textOf(host, unit, path);
  const unset = (setting: string) => !new RegExp(`^\\s*${setting}\\s*=\\s*\\S`, "m").test(text);
  return new Map(Object.entries(NEEDED[unit]).filter(([setting]) => unset(setting)));
}

/** Whether the daemon is stopped along with the socket for commands, as libvirt 9.0's unit wants it. */
function stopsAlong(host: Host, unit: typeof UNITS[number], path: string): string | undefined {
  const requires = /^\s*(Requires|BindsTo)\s*=.*\bvirtlockd-admin\.socket\b/m;
  return unit === "virtlockd.service" && requires.test(textOf(host, unit, path))
    ? "who stops or restarts virtlockd-admin.socket stops the daemon with all its locks"
    : undefined;
}

/** A unit with its drop-ins. */
function textOf(host: Host, unit: string, path: string): string {
  const texts = [host.read(path)];
  for (const directory of [...ADMINISTRATORS, ...PACKAGES]) {
    const dropIns = `${directory}/${unit}.d`;
    for (const name of host.list(dropIns)) texts.push(host.read(`${dropIns}/${name}`));
  }
  return texts.filter((text) => text !== undefined).join("\n");
}
