import { shellOperand } from "../../base/shell_quoted.ts";
import { strerror } from "../../os/errno.ts";
import { type Holding, type Owner, ownerKey, ownerText } from "../lockspace/owner.ts";
import type { ForeignHolder, HeldReport, Refusal } from "../lockspace/refusal.ts";
import {
  ErrorCode,
  ErrorDomain,
  internalError,
  invalidArg,
  operationInvalid,
  resourceBusy,
  type RpcFailure,
  systemError,
} from "../../chassis/wire/rpc_error.ts";

/** Most holders that a refusal names one by one. */
const NAMED_HOLDERS = 3;

/**
 * The libvirt error for a refusal of the lock core: the one place where they are translated.
 * docs/protocol.md, Error payload.
 */
export function lockFailure(refusal: Refusal): RpcFailure {
  const { RPC, LOCKSPACE } = ErrorDomain;
  switch (refusal.kind) {
    case "lockspace-missing":
      return internalError(
        RPC,
        `Lockspace for path ${refusal.path} does not exist${
          refusal.reason === undefined ? "" : `, and its directory cannot be used: ${refusal.reason}`
        }`,
      );
    case "misplaced":
      return internalError(LOCKSPACE, misplacedText(refusal));
    case "adopted":
      return operationInvalid(
        LOCKSPACE,
        `Resource '${refusal.resource}' is not made in ${refusal.path}, which nobody has registered: ` +
          `name the directory in "lockspaces" of virtlockd.conf`,
      );
    case "lockspace-exists":
      return internalError(RPC, `Lockspace for path ${refusal.path} already exists`);
    case "default-lockspace-exists":
      return operationInvalid(RPC, "the default lockspace already exists");
    case "not-a-directory":
      return internalError(LOCKSPACE, `Lockspace location ${refusal.path} exists, but is not a directory`);
    case "bad-name":
      return invalidArg(LOCKSPACE, `Name '${refusal.resource}' cannot be used: ${refusal.reason}`);
    case "not-owner":
      return internalError(LOCKSPACE, notOwnerText(refusal.asker, refusal.held));
    case "system": {
      const domain = refusal.local ? ErrorDomain.NONE : LOCKSPACE;
      return systemError(domain, refusal.action, refusal.errno, strerror(refusal.errno));
    }
    case "storage":
      return internalError(LOCKSPACE, `${refusal.action}: ${refusal.reason}`);
    case "held":
    case "held-elsewhere":
    case "pending":
    case "not-held":
    case "releasing":
    case "owner-dying":
    case "pid-settling":
    case "used-meanwhile":
    case "settling":
      return resourceBusy(LOCKSPACE, conflictText(refusal));
  }
}

/** One line that says what was refused and who is in the way. */
export function refusalText(refusal: Refusal): string {
  const { code, message, str2 } = lockFailure(refusal);
  // For the log, "resource busy: " adds nothing to who has it.
  return code === ErrorCode.RESOURCE_BUSY && str2 !== undefined ? str2 : message;
}

/** A refusal because of the state of a lock. */
type Conflict = Extract<
  Refusal,
  {
    kind:
      | "held"
      | "held-elsewhere"
      | "pending"
      | "not-held"
      | "releasing"
      | "owner-dying"
      | "pid-settling"
      | "used-meanwhile"
      | "settling";
  }
>;

function conflictText(refusal: Conflict): string {
  switch (refusal.kind) {
    case "held":
      return heldText(refusal.resource, refusal.held);
    case "held-elsewhere":
      return `Lockspace resource '${refusal.resource}' is locked by ${foreignText(refusal.by)}`;
    case "pending":
      return `Lockspace resource '${refusal.resource}' is just being locked for domain '${refusal.owner}'`;
    case "not-held":
      return `Lockspace resource '${refusal.resource}' is not locked`;
    case "used-meanwhile":
      return `Lockspace resource '${refusal.resource}' was in use by ${holdingText(refusal.use)}${
        refusal.use.host === undefined ? "" : ` on ${placeText(refusal.use.host)}`
      } while ` +
        `${
          ownerText(refusal.owner)
        } was paused, whose guest would overwrite it with what it remembers: destroy ` +
        "that and start it anew (stale_resume_guests or allow_stale_resume in virtlockd.conf lets it go on)";
    case "releasing":
      return `Lockspace resource '${refusal.resource}' is locked until slow storage has released it`;
    case "owner-dying":
      return `Lockspace resource '${refusal.resource}' cannot change hands: its owner, process ${refusal.pid}, is being killed`;
    case "pid-settling":
      return `Lockspace resource '${refusal.resource}' is not locked for process ${refusal.pid} yet: an earlier process ` +
        "with this id is gone, but its last writes may not have landed, and the two cannot be told apart";
    case "settling":
      return `Lockspace resource '${refusal.resource}' stays locked although its owner's process is gone, because ${refusal.reason}`;
  }
}

/** Says where a lock directory belongs, and where it is. */
export function misplacedText({ path, wanted, found }: Extract<Refusal, { kind: "misplaced" }>): string {
  const type = wanted.type === undefined ? "" : ` (${wanted.type})`;
  const point = wanted.point === undefined ? "" : `, mounted at ${wanted.point}`;
  const isAlike = found.source === wanted.source && found.point === wanted.point;
  const another = isAlike ? `another ${found.source}` : found.source;
  return `Lock directory ${path} belongs on ${wanted.source}${type}${point}, but is now on ${another} ` +
    `(${found.type}), mounted at ${found.point}: other hosts would not see a lock there. Mount ${wanted.source} again`;
}

function heldText(name: string, held: HeldReport): string {
  const alias = held.name === name ? "" : ` as '${held.name}'`;
  const seen = new Map(held.holdings.map((holding) => [ownerKey(holding.owner), holding]));
  const named = [...seen.values()].slice(0, NAMED_HOLDERS).map(holdingText).join(", ");
  const more = seen.size > NAMED_HOLDERS ? ` and ${seen.size - NAMED_HOLDERS} more` : "";
  const dying = held.dying ? "; the holder is being killed, try again when it is gone" : "";
  const settling = held.settling === undefined
    ? ""
    : `; its process is gone, but the lock stays because ${held.settling}`;
  return `Lockspace resource '${name}' is locked${alias} by ${named}${more}${
    settling === "" ? dying : settling
  }`;
}

function notOwnerText(asker: Owner, held: HeldReport): string {
  const text = `owner ${asker.pid} does not hold the resource lock`;
  const [double] = held.holdings.filter(({ owner }) => owner.pid === asker.pid);
  return double === undefined ? text : `${text}, but ${holdingText(double)} with the same process id`;
}

/** A holder as people read it: domain name, uuid, pid, since when. */
function holdingText({ owner, since }: Holding): string {
  const when = since === 0 ? "" : ` since ${new Date(since).toISOString().slice(0, 19)}Z`;
  return `${ownerText(owner)}${when}`;
}

function foreignText(holder: ForeignHolder): string {
  switch (holder.kind) {
    case "process":
      return `process ${holder.pid}${
        holder.command === "" ? "" : ` (${holder.command})`
      }, which is not known here`;
    case "record":
      return `its recorded holder: ${holder.text}`;
    case "other-host":
      return "another host that shares the storage";
    case "file-system":
      return `the FUSE file system at ${holder.mount}, for another host, or still for a process that has ended: then it goes when ` +
        "that is unmounted and mounted again";
    case "host":
      return hostText(holder);
    case "unknown":
      return "a process that this host does not show: one of another host that shares the storage, or of a container";
  }
}

/** A guest of another host of the cluster, and what to do when nothing is heard of that. */
function hostText(
  { host, silentSince, shared, domain, uuid, pid, since }: Extract<ForeignHolder, { kind: "host" }>,
): string {
  const place = placeText(host);
  const held = holdingText({ owner: { name: domain, uuid, pid, id: 0 }, since });
  const lost = silentSince === undefined
    ? ""
    : `, of which nothing is heard since ${
      new Date(silentSince).toISOString().slice(0, 19)
    }Z or earlier: make sure that it is off and stays off, then free its locks: virtlockd cluster fence ${
      host === "" ? "HOST" : shellOperand(host)
    }`;
  return shared ? `guests of ${place} that share it, at first ${held}${lost}` : `${held} on ${place}${lost}`;
}

/** @param host its name, "" when it is not known */
function placeText(host: string): string {
  return host === "" ? "another host of the cluster" : `host '${host}'`;
}
