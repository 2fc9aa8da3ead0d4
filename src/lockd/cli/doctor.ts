import { VERSION } from "../../chassis/config/build_config.ts";
import { ConfigError } from "../../chassis/config/config_error.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { plainText } from "../../chassis/log/plain_text.ts";
import { ForeignDaemonError, UnreachableError } from "../../chassis/cli/admin_link.ts";
import { AdminConnection } from "./admin_connection.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { CHECKS } from "./checks/all.ts";
import type { Check, DaemonView, Finding, Patient } from "./checks/check.ts";
import { Host } from "./guests/host.ts";
import { type LibvirtPlaces, libvirtPlaces } from "./guests/libvirt_places.ts";
import { type Command, type CommandContext, CommandExit } from "../../chassis/cli/command.ts";
import { serviceStore } from "./guests/service_store.ts";
import { isOnMounts, silentMounts } from "./guests/silent_mounts.ts";
import { listLocks } from "./locks.ts";
import { readStatus } from "./status.ts";

const ROOT_OPTION = "root";
/**
 * Wait before the daemon is asked a second time, in ms: libvirt records a change of a guest soon after its
 * lock.
 */
const SECOND_LOOK = 1000;

/** A finding and the check that made it. */
export type Diagnosis = Finding & { readonly check: string };

/** `virtlockd doctor`: looks for what leaves guests without locks. */
export const doctorCommand: Command = {
  name: "doctor",
  purpose: "Looks for what leaves this host's guests without locks, and says what to do about it.",
  options: [
    CONNECT_OPTION,
    JSON_OPTION,
    { name: ROOT_OPTION, value: "DIR", summary: "examine the host whose files are below DIR" },
  ],
  async run(context, args) {
    const patient = await examine(context, args);
    const diagnoses = await diagnose(patient, CHECKS);
    context.out.write(args.has("json") ? jsonText(diagnoses) : diagnosesText(diagnoses));
    return diagnoses.some(({ level }) => level === "problem") ? CommandExit.PROBLEM : CommandExit.OK;
  },
};

/** Runs checks one after the other. */
export async function diagnose(patient: Patient, checks: readonly Check[]): Promise<Diagnosis[]> {
  const diagnoses: Diagnosis[] = [];
  for (const check of checks) {
    for (const finding of await check.run(patient)) diagnoses.push({ check: check.name, ...finding });
  }
  return diagnoses;
}

/** The findings for people: each with what to do below it. */
export function diagnosesText(diagnoses: readonly Diagnosis[]): string {
  return diagnoses.map(({ check, level, found, advice }) => {
    const line = `${(level === "ok" ? level : level.toUpperCase()).padEnd(8)} ${check}: ${
      plainText(found)
    }\n`;
    return advice === undefined ? line : `${line}         -> ${plainText(advice)}\n`;
  }).join("");
}

async function examine({ sys, env, now }: CommandContext, args: Arguments): Promise<Patient> {
  const named = args.value(ROOT_OPTION);
  // Below another root it is the host that is examined, not a session on it.
  const uid = named === undefined ? sys.uid() : 0;
  const root = named?.replace(/\/+$/, "") ?? "";
  const places = placesOf(sys, uid, env);
  const socket = args.value(CONNECT_OPTION.name) ?? `${root}${places.adminSocket}`;
  // The mounts of another root are not this host's.
  const mounts = root === "" ? new Host(sys, "", places).read("/proc/self/mountinfo") ?? "" : "";
  const silent = await silentMounts(mounts);
  return {
    host: new Host(sys, root, places, isOnMounts(sys, mounts, silent)),
    silent,
    daemon: ask(sys, socket),
    lookAgain: () => {
      sys.pollReadable(-1, SECOND_LOOK);
      return ask(sys, socket);
    },
    serviceStore: async (unit) => root === "" ? await serviceStore(unit) : undefined,
    version: VERSION,
    now: now(),
  };
}

/** @throws UsageError when this user's files cannot be told */
function placesOf(sys: CommandContext["sys"], uid: number, env: CommandContext["env"]): LibvirtPlaces {
  try {
    return libvirtPlaces(uid, env, (path) => sys.access(path, 0) === 0);
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`Find libvirt's files: ${error.message}`);
    throw error;
  }
}

function ask(sys: CommandContext["sys"], socket: string): DaemonView {
  try {
    using daemon = AdminConnection.connect(sys, socket);
    return { kind: "answers", status: readStatus(daemon), locks: listLocks(daemon) };
  } catch (error) {
    if (error instanceof ForeignDaemonError) return { kind: "foreign", reason: error.message };
    if (!(error instanceof UnreachableError)) throw error;
    return { kind: "unreachable", obstacle: error.obstacle, reason: error.message };
  }
}
