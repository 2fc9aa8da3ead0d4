import { type Owner, ownerText } from "../lockspace/owner.ts";
import { reasonOf } from "../lockspace/lock_record.ts";
import { untilReleased } from "../lockspace/settler.ts";
import { lockText } from "../lockspace/lock_text.ts";
import type { Resource } from "../lockspace/resource.ts";
import { counted, someOf } from "../../chassis/log/counted.ts";
import type { Repeats } from "../../chassis/log/repeats.ts";
import { getLog, type Log, type LogFields } from "../../chassis/log/log.ts";
import { refusalText } from "../programs/lock_failure.ts";
import { CLOSED_BY_ADMINISTRATOR } from "../../chassis/admin/admin_clients.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import { LockSession } from "../programs/lock_program.ts";
import { LOCK_PROGRAM } from "../wire/lock_protocol.ts";
import { strerror } from "../../os/errno.ts";
import type { DaemonObserver } from "./observers.ts";

/** A connection that has ended, as far as the log is concerned. */
interface EndedConnection {
  readonly peer: Peer;
  /** Its session of a program. */
  session(program: number): unknown;
}

/** Most resources of a holder that a line names, and that are fields of a journal entry. */
const NAMED_RESOURCES = 3;
const RESOURCE_FIELDS = 100;

/** What is known of the process of an owner whose lock was released for it. */
const JUDGED = {
  alive: "its process lives and can write without a lock now",
  dead: "its process has ended",
  unjudged: "nothing tells whether its process still runs",
} as const;

/**
 * Writes what happens to the log: locks at info, refusals and killed holders at warning. docs/behaviour.md,
 * Logging.
 *
 * @param repeats counts refusals that repeat
 */
export function eventLog(repeats: Repeats): Partial<DaemonObserver> {
  const log = getLog("locking.lock_daemon", "src/lockd/reporting/event_log.ts");
  return {
    lockspaceCreated: (path) => log.info(() => `Created lockspace ${path}`, { lockspace: path }),
    lockspacePlaced: ({ path, origin, place }) => {
      const where = place === undefined
        ? ""
        : ` on ${place.source} (${place.type}), mounted at ${place.point}`;
      log.info(() => `Lockspace ${path} is ${origin}${where}`, { lockspace: path });
    },
    // Where nobody wants to read it, neither text nor fields are made.
    granted: (resource, { owner }) => {
      if (!log.enabled("info")) return;
      const text = `Locked resource '${resource.name}' (${modeText(resource)}) for ${ownerText(owner)}`;
      log.info(text, fields(owner, resource));
    },
    released: (resource, owner, last) => {
      if (!log.enabled("info")) return;
      const shared = last ? "" : ", others still share it";
      log.info(
        `Released resource '${resource.name}' of ${ownerText(owner)}${shared}`,
        fields(owner, resource),
      );
    },
    refused: (owner, refusal) => {
      if (!log.enabled("warning")) return;
      const { name: domain, uuid, pid: ownerPid } = owner;
      const text = refusalText(refusal);
      // A guest that is tried again and again is another process each time, which the text may name.
      repeats.happened(
        `${uuid} ${domain} ${text.replaceAll(new RegExp(`\\b${ownerPid}\\b`, "g"), "")}`,
        (again) => log.warn(`Refused ${ownerText(owner)}: ${text}${again}`, { domain, uuid, ownerPid }),
      );
    },
    troubled: (resource, failure) => {
      const reason = failure.kind === "system" ? strerror(failure.errno) : failure.reason;
      const why = `${failure.action}: ${reason}`;
      log.error(
        failure.released
          ? `${lockText(resource)} was released, but its file was left behind: ${why}`
          : `${lockText(resource)} could not be released, and is kept: ${why}`,
        { resource: resource.name, lockspace: resource.lockspace },
      );
    },
    lost: (resource, how) =>
      log.error(
        `${lockText(resource)} ${how}: ${
          reasonOf(resource.state) ?? "nothing tells why"
        }; its guest runs unprotected`,
        { resource: resource.name, lockspace: resource.lockspace },
      ),
    regained: (resource) =>
      log.warn(
        `${lockText(resource)} ended with the last daemon: it is taken again, but was free for a while`,
        { resource: resource.name, lockspace: resource.lockspace },
      ),
    signalled: (pid, signal, owned) => {
      const holder = holderOf(pid, owned);
      log.warn(
        `Killing ${holder.text}: its connection to this daemon has ended, and it could write to ${holder.locks} ` +
          `without a lock. Sent ${signal}; its locks stay until its process is gone`,
        holder.fields,
      );
    },
    signalFailed: (pid, error, owned) => {
      const holder = holderOf(pid, owned);
      log.error(
        `Could not kill ${holder.text}, whose connection has ended: ${error.message}; ${holder.locks} ` +
          "cannot be used by another guest until its process ends",
        holder.fields,
      );
    },
    freedByHand: (resource, { holding: { owner }, judgement }, by) =>
      log.warn(
        `An administrator had resource '${resource.name}' released, which ${ownerText(owner)} held: ${
          JUDGED[judgement.kind]
        } (ordered by process ${by.pid} of user ${by.uid})`,
        fields(owner, resource),
      ),
    regranted: (resource) =>
      log.info(() => {
        const owner = firstOwner(resource);
        return `Granted resource '${resource.name}' once more to its owner, who may not have known of it: ${owner}`;
      }, { resource: resource.name, lockspace: resource.lockspace }),
    kept: (resource) =>
      log.info(
        () =>
          `Keeping resource '${resource.name}' for ${
            firstOwner(resource)
          }, whose guest is paused or has let it go`,
        { resource: resource.name, lockspace: resource.lockspace },
      ),
    givenBack: (resource) =>
      log.info(() => `Resource '${resource.name}' is held again by ${firstOwner(resource)}`, {
        resource: resource.name,
        lockspace: resource.lockspace,
      }),
    leaving: (resource) =>
      log.info(
        () =>
          `Resource '${resource.name}' of ${
            firstOwner(resource)
          } is being released for other hosts too: somebody else asks for it, or its guest is gone, has let it ` +
          "go, or never ran with it",
        { resource: resource.name, lockspace: resource.lockspace },
      ),
    resumeUnjudged: (resource, { owner, use }) =>
      log.warn(
        `${ownerText(owner)} got resource '${resource.name}' again, which ${
          use === undefined ? "another domain" : ownerText(use.owner)
        } has used since it was released. If its guest was paused and not newly attached to it, destroy it and start ` +
          "it anew: it would overwrite that disk with what it remembers",
        fields(owner, resource),
      ),
    learnt: (resource) =>
      log.info(
        () =>
          `The owner of resource '${resource.name}' is now known: ${
            resource.holdings.map(({ owner }) => ownerText(owner)).join(", ")
          }`,
        { resource: resource.name, lockspace: resource.lockspace },
      ),
    gone: ({ pid }, owned, signalled) => {
      const holder = holderOf(pid, owned);
      if (signalled) {
        log.warn(`Killed ${holder.text}: its process is gone, releasing ${holder.locks}`, holder.fields);
        return;
      }
      const whose = holder.text === `process ${pid}` ? `Process ${pid}` : `The process of ${holder.text}`;
      log.info(`${whose} has ended: releasing ${holder.locks}`, holder.fields);
    },
    settling: ({ resource, holding, verdict, left }) => {
      const reason = verdict === undefined || verdict.kind === "over" ? "" : `: ${verdict.reason}`;
      const end = left === undefined
        ? "it is released when that is over"
        : left === Infinity
        ? untilReleased(resource, holding)
        : `it is released within ${Math.ceil(left / 1000)} s`;
      log.warn(
        `Resource '${resource.name}' of ${
          ownerText(holding.owner)
        } stays locked although its process is gone${reason}; ${end}`,
        fields(holding.owner, resource),
      );
    },
    gaveUp: ({ resource, holding, verdict }) => {
      const reason = verdict === undefined || verdict.kind === "over" ? "" : `: ${verdict.reason}`;
      log.warn(
        `Gave up resource '${resource.name}' of ${
          ownerText(holding.owner)
        }, whose process is gone, without knowing ` +
          `whether its last writes have landed${reason}`,
        fields(holding.owner, resource),
      );
    },
    registered: ({ owner, peer }) =>
      log.info(() => `Client ${peer.clientId} (pid ${peer.pid}) registered ${owner && ownerText(owner)}`),
    connected: (server, { peer }) =>
      log.debug(() =>
        `Client ${peer.clientId} connected to ${server.name}: pid ${peer.pid}, uid ${peer.uid}`
      ),
    disconnected: (server, connection, reason) => {
      const { peer } = connection;
      if (reason === CLOSED_BY_ADMINISTRATOR) closedByAdministrator(log, connection);
      log.debug(() => `Client ${peer.clientId} of ${server.name} (pid ${peer.pid}) has gone: ${reason}`);
    },
  };
}

/** Whoever closes a guest's own connection ends the guest: its name belongs into the log. */
function closedByAdministrator(log: Log, connection: EndedConnection): void {
  const { peer } = connection;
  const lock = connection.session(LOCK_PROGRAM);
  const owner = lock instanceof LockSession ? lock.owner : undefined;
  if (lock instanceof LockSession && owner !== undefined && lock.isHolder) {
    log.warn(
      `An administrator closed the connection of ${
        ownerText(owner)
      }: the guest is killed if it holds a lock, ` +
        "because it would write without one",
      { domain: owner.name, uuid: owner.uuid, ownerPid: owner.pid },
    );
  } else {
    const speaker = owner === undefined ? "" : `, which spoke for ${ownerText(owner)}`;
    log.warn(
      `An administrator closed client ${peer.clientId} (pid ${peer.pid})${speaker}: no guest is killed for it`,
    );
  }
}

/** A process and what it holds, for a line about its end. */
function holderOf(
  pid: number,
  owned: readonly Resource[],
): { text: string; locks: string; fields: LogFields } {
  const owner = owned.flatMap(({ holdings }) => holdings)
    .find((holding) => (holding.owner.hostPid ?? holding.owner.pid) === pid)?.owner;
  const names = owned.map(({ name }) => name);
  const { name = "", uuid = "" } = owner ?? {};
  return {
    text: owner === undefined ? `process ${pid}` : ownerText(owner),
    locks: `${counted(names.length, "resource")} (${someOf(names, NAMED_RESOURCES)})`,
    fields: {
      ...name === "" ? {} : { domain: name, uuid },
      ownerPid: pid,
      resource: names.slice(0, RESOURCE_FIELDS),
      lockspace: [...new Set(owned.map(({ lockspace }) => lockspace))].slice(0, RESOURCE_FIELDS),
    },
  };
}

function fields(owner: Owner, resource: Resource): LogFields {
  return {
    domain: owner.name,
    uuid: owner.uuid,
    ownerPid: owner.pid,
    resource: resource.name,
    lockspace: resource.lockspace,
  };
}

function modeText({ shared, autocreate }: Resource): string {
  return `${shared ? "shared" : "exclusive"}${autocreate ? ", autocreated" : ""}`;
}

function firstOwner({ holdings: [holding] }: Resource): string {
  return holding === undefined ? "nobody" : ownerText(holding.owner);
}
