import { shellQuoted } from "../../base/shell_quoted.ts";
import type { Peer, Reply } from "../../chassis/rpc/program.ts";
import {
  ErrorDomain,
  invalidArg,
  operationDenied,
  type RpcFailure,
  unsupportedFlags,
} from "../../chassis/wire/rpc_error.ts";
import { formatUuid, parseUuid } from "../../chassis/wire/uuid.ts";
import type { JudgedHolder, ManualRelease, ReleaseOutcome } from "../lockspace/manual_release.ts";
import { guestName, ownerText } from "../lockspace/owner.ts";
import { refusalText } from "../programs/lock_failure.ts";
import { encodePage, RELEASE_FORCE, type ReleaseArgs } from "../wire/status_protocol.ts";
import type { ReleaseDocument } from "./status_document.ts";

/**
 * RELEASE: an administrator frees a lock that nobody else will. Of an owner that is known to live only with
 * the name of its guest: the disk has two writers then, if the guest goes on.
 *
 * @throws RpcFailure
 */
export function releaseLock(
  manual: Pick<ManualRelease, "release">,
  { pid, uid }: Peer,
  args: ReleaseArgs,
  reply: Reply,
): void {
  const { flags, lockspace, resource, uuid, guest } = args;
  if ((flags & ~RELEASE_FORCE) !== 0) throw unsupportedFlags(ErrorDomain.ADMIN, flags, "Release");
  const wish = {
    lockspace,
    resource,
    by: { pid, uid },
    ...uuid === "" ? {} : { uuid: spelled(uuid) },
    ...(flags & RELEASE_FORCE) === 0 ? {} : { livingGuest: guest },
  };
  manual.release(wish, (outcome) => {
    if (outcome.kind !== "released") return reply.fail(refusal(args, outcome));
    const { holding: { owner }, judgement } = outcome.holder;
    const document: ReleaseDocument = {
      lockspace,
      resource,
      owner: { domain: owner.name, uuid: owner.uuid, pid: owner.pid },
      ownerProcess: judgement.kind,
      stillShared: !outcome.last,
    };
    reply.ok((writer) => encodePage(writer, { json: JSON.stringify(document), next: "" }));
  });
}

function refusal(
  { lockspace, resource, uuid, guest }: ReleaseArgs,
  outcome: Exclude<ReleaseOutcome, { kind: "released" }>,
): RpcFailure {
  const path = lockspace === "" ? resource : `${lockspace}/${resource}`;
  switch (outcome.kind) {
    case "not-locked":
      return invalidArg(ErrorDomain.ADMIN, `There is no lock on ${path}`);
    case "choose": {
      const holders = outcome.holders.map(holderText).join(", ");
      return invalidArg(
        ErrorDomain.ADMIN,
        uuid === ""
          ? `${path} is held by several, choose one by its uuid: ${holders}`
          : `No guest with uuid ${uuid} holds ${path}; it is held by ${holders}`,
      );
    }
    case "alive":
      return denied(
        `${holderText(outcome.holder)} holds ${path} and lives${
          seenAs(outcome.holder)
        }: end the guest, and its lock ` +
          `goes by itself; ${force(outcome.holder)} frees it now`,
      );
    case "busy":
      return denied(
        `${holderText(outcome.holder)} holds ${path}, which is in use: ${outcome.reason}; ` +
          `${force(outcome.holder)} frees it all the same`,
      );
    case "other-guest":
      return denied(
        `${path} is held by ${holderText(outcome.holder)}, not by the guest that --guest names, '${guest}'`,
      );
    case "failed":
      return denied(`Release ${path}: ${refusalText(outcome.refusal)}`);
  }
}

/** An owner in another pid namespace has another pid there. */
function seenAs({ holding, judgement }: JudgedHolder): string {
  return judgement.kind !== "alive" || judgement.pid === holding.owner.pid
    ? ""
    : ` as process ${judgement.pid} of this host`;
}

/** What frees it in any case. */
function force({ holding: { owner } }: JudgedHolder): string {
  return `--force --guest ${shellQuoted(guestName(owner))}`;
}

function holderText({ holding }: JudgedHolder): string {
  return ownerText(holding.owner);
}

/** The spelling that owners have. */
function spelled(uuid: string): string {
  const bytes = parseUuid(uuid);
  return bytes === undefined ? uuid : formatUuid(bytes);
}

function denied(message: string): RpcFailure {
  return operationDenied(ErrorDomain.ADMIN, message);
}
