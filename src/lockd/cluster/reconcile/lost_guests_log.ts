import { shellOperand } from "../../../base/shell_quoted.ts";
import type { Log } from "../../../chassis/log/log.ts";
import { guestName, ownerText } from "../../lockspace/owner.ts";
import type { LostGuestsObserver } from "./lost_guests.ts";

/** Writes to the log what becomes of guests whose lock another host has got. */
export function lostGuestsLog(log: Log): LostGuestsObserver {
  return {
    lostGuest: (guest) => {
      const { owner, resource } = guest;
      const fields = { resource: resource.name, lockspace: resource.lockspace, ...owner };
      const who = `The guest of ${ownerText(owner)}`;
      const name = shellOperand(guestName(owner));
      switch (guest.kind) {
        case "stopped":
          return log.error(
            `${who} was stopped by a signal, for another host of the cluster has the lock on '${resource.name}'. ` +
              `It must not go on over what the other guest has written. Destroy it: virsh destroy ${name}`,
            fields,
          );
        case "killed":
          return log.error(
            `${who} was killed, for another host of the cluster has the lock on '${resource.name}'`,
            fields,
          );
        case "spared":
          return log.error(
            `${who} could not be ended, although another host of the cluster has the lock on '${resource.name}': ` +
              `${guest.reason}. Two guests may write to one disk. Destroy it: virsh destroy ${name}`,
            fields,
          );
      }
    },
  };
}
