import { counted } from "../../../chassis/log/counted.ts";
import { type Check, type Finding, ok, type Patient, warning } from "./check.ts";

/** Where the kernel's audit messages end up, depending on which services the host has. */
const LOGS = ["/var/log/audit/audit.log", "/var/log/kern.log", "/var/log/syslog", "/var/log/messages"];
/** How much of each log is looked through, in bytes. */
const TAIL = 4 * 1024 * 1024;
/** What is older was most likely seen to, in ms. */
const MEMORY = 7 * 24 * 3600 * 1000;
const LONGEST = 200;

/** Whether SELinux or AppArmor has denied the daemon anything. */
export const denials: Check = {
  name: "denials",
  run(patient) {
    const { host } = patient;
    const modules = [
      ...host.kind("/sys/fs/selinux/enforce") === undefined ? [] : ["SELinux"],
      ...host.kind("/sys/kernel/security/apparmor/profiles") === undefined ? [] : ["AppArmor"],
    ];
    const logs = LOGS.flatMap((path) => {
      const text = host.tail(path, TAIL);
      return text === undefined ? [] : [{ path, text }];
    });
    const denied = logs.flatMap(({ path, text }) => inspect(patient, path, text));
    if (denied.length > 0) return denied;
    if (modules.length === 0) return [];
    if (logs.length > 0) return [ok(`No denial of ${modules.join(" or ")} in ${logs[0]?.path}`)];
    return [
      warning(
        `${modules.join(" and ")} is active, but no log with its denials can be read`,
        "Look with: journalctl _TRANSPORT=audit | grep virtlockd",
      ),
    ];
  },
};

function inspect({ now }: Patient, path: string, text: string): Finding[] {
  const lines = text.split("\n").filter((line) =>
    line.includes("virtlockd") && /avc:\s+denied|apparmor="DENIED"/.test(line) && isRecent(line, now)
  );
  const last = lines.at(-1);
  if (last === undefined) return [];
  const isSelinux = last.includes("avc:");
  return [
    warning(
      `${isSelinux ? "SELinux" : "AppArmor"} has denied the daemon something ${
        counted(lines.length, "time")
      } (${path}): ${last.slice(0, LONGEST)}`,
      isSelinux
        ? "Label the path that is named (semanage fcontext, restorecon), or allow it in the policy"
        : "Allow the path that is named in the profile below /etc/apparmor.d/local and reload it",
    ),
  ];
}

/** Audit messages carry the time, in Unix seconds, as `audit(1795266578.207:42)`. */
function isRecent(line: string, now: number): boolean {
  const seconds = /audit\((\d+)\.\d+:\d+\)/.exec(line)?.[1];
  return seconds === undefined || now - Number(seconds) * 1000 < MEMORY;
}
