import { resourceFlags } from "../lockspace/resource.ts";
import type { Owner } from "../lockspace/owner.ts";
import type { Resource } from "../lockspace/resource.ts";
import { getLog, type LogFields } from "../../chassis/log/log.ts";
import { refusalText } from "../programs/lock_failure.ts";
import { strerror } from "../../os/errno.ts";
import type { DaemonObserver } from "./observers.ts";

const MODES = ["exclusive", "shared", "exclusive, autocreated", "shared, autocreated"];

/**
 * Writes what happens to the log: locks at info, refusals and killed holders at warning. docs/behaviour.md,
 * Logging.
 */
export function eventLog(): Partial<DaemonObserver> {
  const log = getLog("locking.lock_daemon", "src/lockd/daemon/event_log.ts");
  return {
    lockspaceCreated: (path) => log.info(() => `Created lockspace ${path}`, { lockspace: path }),
    granted: (resource, { owner }) =>
      log.info(
        () =>
          `Locked resource '${resource.name}' (${MODES[resourceFlags(resource)]}) for ${ownerText(owner)}`,
        fields(owner, resource),
      ),
    released: (resource, owner, last) =>
      log.info(
        () =>
          `Released resource '${resource.name}' of ${ownerText(owner)}${
            last ? "" : ", others still share it"
          }`,
        fields(owner, resource),
      ),
    refused: (owner, refusal) =>
      log.warn(() => `Refused ${ownerText(owner)}: ${refusalText(refusal)}`, {
        domain: owner.name,
        uuid: owner.uuid,
        ownerPid: owner.pid,
      }),
    troubled: (resource, failure) => {
      const reason = failure.kind === "system" ? strerror(failure.errno) : failure.reason;
      const kept = failure.released ? "its lock has gone all the same" : "the lock is kept";
      log.error(`${failure.action}: ${reason}; ${kept}`, {
        resource: resource.name,
        lockspace: resource.lockspace,
      });
    },
    signalled: (pid, signal, locks) =>
      log.warn(
        `Sent ${signal} to process ${pid}: its connection ended while it held ${locks} locks, which stay until it is gone`,
        { ownerPid: pid },
      ),
    signalFailed: (pid, error) =>
      log.error(
        `Could not end process ${pid}, whose connection has ended: ${error.message}; its locks stay`,
        {
          ownerPid: pid,
        },
      ),
    gone: (pid, locks, signalled) => {
      const message = `Holder process ${pid} is gone${
        signalled ? ", ended by this daemon" : ""
      }: releasing ${locks} locks`;
      if (signalled) log.warn(message, { ownerPid: pid });
      else log.info(message, { ownerPid: pid });
    },
    registered: ({ owner, peer }) =>
      log.info(() => `Client ${peer.clientId} (pid ${peer.pid}) registered ${owner && ownerText(owner)}`),
    connected: (server, { peer }) =>
      log.debug(() =>
        `Client ${peer.clientId} connected to ${server.name}: pid ${peer.pid}, uid ${peer.uid}`
      ),
    disconnected: (server, { peer }, reason) =>
      log.debug(() => `Client ${peer.clientId} of ${server.name} (pid ${peer.pid}) has gone: ${reason}`),
  };
}

function ownerText(owner: Owner): string {
  return `domain '${owner.name}' (uuid ${owner.uuid}, pid ${owner.pid})`;
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
