import type { Host } from "../guests/host.ts";
import { type Check, type Finding, ok, problem, warning } from "./check.ts";

const UNITS = ["virtlockd.service", "virtlockd.socket", "virtlockd-admin.socket"] as const;
/** Where the packages have our units: that of Debian, and all others. */
const OURS = ["/usr/lib/virtlockd/system", "/usr/share/deno-virtlockd"];
/** Where an administrator's units are, and then those of packages, in systemd's order: systemd.unit(5). */
const ADMINISTRATORS = ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system"];
const PACKAGES = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/** A setting that a unit has to have so that locks outlive the daemon. */
interface Need {
  readonly setting: string;
  /** The values that do; compared without white space around. */
  readonly good: RegExp;
  /** What happens otherwise. */
  readonly harm: string;
}

const NEEDED: Readonly<Record<typeof UNITS[number], readonly Need[]>> = {
  "virtlockd.service": [
    { setting: "FileDescriptorStoreMax", good: /^0*[1-9]\d*$/, harm: "a crash loses every lock" },
    {
      setting: "Restart",
      good: /^(always|on-failure|on-abnormal|on-abort)$/,
      harm: "a daemon that crashed is not started again, and every lock is lost",
    },
    { setting: "StartLimitIntervalSec", good: /^0+[a-z]*$/, harm: "several crashes lose every lock" },
    { setting: "KillMode", good: /^process$/, harm: "a restart may wait for helpers of hung storage" },
  ],
  "virtlockd.socket": [
    {
      setting: "TriggerLimitIntervalSec",
      good: /^0+[a-z]*$/,
      harm: "clients that come after a crash may make it lose every lock",
    },
  ],
  "virtlockd-admin.socket": [
    {
      setting: "TriggerLimitIntervalSec",
      good: /^0+[a-z]*$/,
      harm: "commands that come after a crash may close the admin socket",
    },
  ],
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
      return lacking(host, unit, `${ours}/${unit}`).map(({ setting, value, path, harm }) =>
        warning(
          `${path} sets ${setting}=${value}: ${harm}`,
          "Take that line out, then: systemctl daemon-reload && systemctl reload virtlockd",
        )
      );
    case "none":
      return [warning(`systemd knows no ${unit}`, `Put the link to ours back: ${mend}`)];
    case "masked":
      return [
        problem(`${unit} is masked: it cannot be started`, `Run: systemctl unmask ${unit}; then: ${mend}`),
      ];
    case "libvirt's": {
      const [lack] = lacking(host, unit, inForce.path);
      const harms = [lack?.harm, stopsAlong(host, unit, inForce.path)].filter((one) => one !== undefined);
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
        ...lacking(host, unit, inForce.path).map(({ setting, value, path, harm }) =>
          warning(
            value === undefined
              ? `systemd uses ${inForce.path}, which is not ours and sets no ${setting}=: ${harm}`
              : `systemd uses ${inForce.path}, which is not ours, and ${path} sets ${setting}=${value}: ${harm}`,
            advice,
          )
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

/** What is not as it is needed, and what comes of that. */
interface Lack extends Pick<Need, "setting" | "harm"> {
  /** What it is instead; undefined when nothing sets it. */
  readonly value: string | undefined;
  /** What sets it, or the unit. */
  readonly path: string;
}

/** What a unit and its drop-ins leave unset, or set to something else. */
function lacking(host: Host, unit: typeof UNITS[number], path: string): Lack[] {
  const files = filesOf(host, unit, path);
  return NEEDED[unit].flatMap(({ setting, good, harm }) => {
    const assignment = new RegExp(`^[ \\t]*${setting}[ \\t]*=[ \\t]*(.*?)[ \\t]*$`, "gm");
    const last = files.flatMap((file) =>
      [...file.text.matchAll(assignment)].map(([, value = ""]) => ({ value, path: file.path }))
    ).at(-1);
    return last !== undefined && good.test(last.value)
      ? []
      : [{ setting, harm, value: last?.value, path: last?.path ?? path }];
  });
}

/** Whether the daemon is stopped along with the socket for commands, as libvirt 9.0's unit wants it. */
function stopsAlong(host: Host, unit: typeof UNITS[number], path: string): string | undefined {
  const requires = /^\s*(Requires|BindsTo)\s*=.*\bvirtlockd-admin\.socket\b/m;
  return unit === "virtlockd.service" && filesOf(host, unit, path).some(({ text }) => requires.test(text))
    ? "who stops or restarts virtlockd-admin.socket stops the daemon with all its locks"
    : undefined;
}

/** A file of a unit. */
interface UnitFile {
  readonly path: string;
  readonly text: string;
}

/** A unit and its drop-ins in systemd's order: by name; of one name that in the earlier directory. */
function filesOf(host: Host, unit: string, path: string): UnitFile[] {
  const dropIns = new Map<string, string>();
  for (const directory of [...ADMINISTRATORS, ...PACKAGES]) {
    for (const name of host.list(`${directory}/${unit}.d`)) {
      if (name.endsWith(".conf") && !dropIns.has(name)) dropIns.set(name, `${directory}/${unit}.d/${name}`);
    }
  }
  const paths = [path, ...[...dropIns].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, file]) => file)];
  return paths.flatMap((file) => {
    const text = host.read(file);
    return text === undefined ? [] : [{ path: file, text }];
  });
}
