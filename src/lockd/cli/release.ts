import { timeText } from "../../chassis/cli/table.ts";
import { type Command, CommandError, CommandExit } from "../../chassis/cli/command.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { isShownAs, plainText } from "../../chassis/log/plain_text.ts";
import type { HolderEntry, ReleaseDocument } from "../status/status_document.ts";
import { RELEASE_FORCE } from "../wire/status_protocol.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { agree, NEEDS_YES } from "../../chassis/cli/agreed.ts";
import { connect } from "./ask.ts";
import { diskNaming } from "./disk_naming.ts";
import type { ListedLock } from "./shown/listed_lock.ts";
import { holderText } from "./shown/holder_text.ts";
import { listLocks } from "./locks.ts";
import { namedDisk } from "./named_disk.ts";

const PROCESSES: Readonly<Record<ReleaseDocument["ownerProcess"], string>> = {
  alive: "whose process lives",
  dead: "whose process has ended",
  unjudged: "whose process could not be judged",
};

/** `virtlockd release`: frees a lock that nobody else will. */
export const releaseCommand: Command = {
  name: "release",
  purpose:
    "Frees a lock whose guest is gone, or of which the daemon cannot tell. While the guest's process lives it " +
    "refuses: then end the guest, and the lock goes by itself.",
  operand: { name: "RESOURCE", summary: "path of the disk, or name of the lock as `locks` lists it" },
  options: [
    CONNECT_OPTION,
    JSON_OPTION,
    { name: "lockspace", value: "DIR", summary: "the lock directory, where the name is in several" },
    { name: "uuid", value: "UUID", summary: "the guest to take off, where several share the lock" },
    { name: "force", summary: "although the guest lives; needs --guest" },
    { name: "guest", value: "NAME", summary: "name of the guest that lives and loses its lock" },
    { name: "yes", summary: "do not ask" },
  ],
  async run(context, args) {
    checkForce(args);
    const isNamed = await namedDisk(context.sys, args.operand);
    using daemon = connect(context, args);
    const named = diskNaming(context);
    const look = () => find(named(listLocks(daemon)), args, isNamed);
    const lock = look();
    const agreed = agree(context, args, "Nothing was released", questionOf(lock), NEEDS_YES);
    if (agreed === "asked" && !isSame(lock, look())) {
      throw new CommandError(
        CommandExit.PROBLEM,
        "Nothing was released: meanwhile the lock was released or given to somebody else",
      );
    }
    const released = daemon.release({
      flags: args.has("force") ? RELEASE_FORCE : 0,
      lockspace: lock.lockspace,
      resource: lock.resource,
      uuid: args.value("uuid") ?? onlyHolder(lock)?.uuid ?? "",
      guest: args.value("guest") ?? "",
    });
    context.out.write(args.has("json") ? jsonText(released) : releasedText(released));
    return CommandExit.OK;
  },
};

function checkForce(args: Arguments): void {
  if (args.has("force") !== (args.value("guest") !== undefined)) {
    throw new UsageError('Options "--force" and "--guest" need each other');
  }
}

/** The one lock that is meant. @throws CommandError */
function find(
  locks: readonly ListedLock[],
  args: Arguments,
  isNamed: (lock: ListedLock) => boolean,
): ListedLock {
  const { operand } = args;
  const directory = args.value("lockspace");
  const there = locks.filter(({ lockspace }) => directory === undefined || isShownAs(lockspace, directory));
  const named = there.filter(isNamed);
  // Of a name with odd characters people have what the list shows.
  const shown = there.filter(({ resource, path }) =>
    [resource, path].some((name) => isShownAs(name, operand))
  );
  const found = named.length > 0 ? named : shown;
  const [lock, another] = found;
  if (lock === undefined) {
    const where = directory === undefined ? "" : ` in ${directory}`;
    throw new CommandError(
      CommandExit.PROBLEM,
      `There is no lock on ${operand}${where}; virtlockd locks lists them`,
    );
  }
  if (another !== undefined) {
    const all = found.map(({ lockspace }) => lockspace === "" ? '""' : lockspace).join(", ");
    throw new CommandError(
      CommandExit.PROBLEM,
      `${operand} is locked in several lock directories, choose one with --lockspace: ${all}`,
    );
  }
  return lock;
}

/** Nobody else is to lose the lock than who was shown: undefined where several share it. */
function onlyHolder({ holders: [holder, ...others], moreHolders }: ListedLock): HolderEntry | undefined {
  return others.length === 0 && moreHolders === undefined ? holder : undefined;
}

/** Whether two looks at a lock have seen the same grant to the same owners. */
function isSame(first: ListedLock, second: ListedLock): boolean {
  const owners = ({ holders }: ListedLock) =>
    holders.map(({ uuid, pid, since }) => `${uuid} ${pid} ${since}`);
  return first.id === second.id && owners(first).join() === owners(second).join();
}

function questionOf(lock: ListedLock): string {
  return `${lockText(lock)}` +
    "Another guest may have the disk as soon as it is free. If the guest that held it still runs, on whatever host,\n" +
    'both will write to it and destroy it. Type "yes" to release the lock: ';
}

function lockText({ path, disk, mode, holders }: ListedLock): string {
  const lines = [
    `Lock on ${path}${disk === undefined ? "" : `, disk ${disk}`}, ${mode}, held by`,
    ...holders.map(holderLine),
  ];
  return lines.map((line) => `${plainText(line)}\n`).join("");
}

function holderLine(holder: HolderEntry): string {
  const { since } = holder;
  return `  ${holderText(holder)} since ${since === 0 ? "an unknown time" : timeText(since)}`;
}

function releasedText({ lockspace, resource, owner, ownerProcess, stillShared }: ReleaseDocument): string {
  const path = lockspace === "" ? resource : `${lockspace}/${resource}`;
  const who = `${holderText(owner)}, ${PROCESSES[ownerProcess]}`;
  const now = stillShared ? "Others still share it." : "It is free.";
  return `${plainText(`Released ${path} of ${who}. ${now}`)}\n`;
}
