import { LOCK_SETTINGS } from "../../identity/settings.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { type Check, type Finding, ok, problem } from "./check.ts";
import { readDefinedGuests } from "../guests/defined_guests.ts";

/** Connections of libvirt itself, and of commands like this one. */
const SPARE_CLIENTS = 10;
/** Descriptors of the daemon that are no client's and no lock's. */
const SPARE_DESCRIPTORS = 100;
/** A client needs its socket and a handle of its process. */
const PER_CLIENT = 2;

/** Whether the daemon's limits allow for all the guests that are defined. */
export const limits: Check = {
  name: "limits",
  run({ host, daemon }) {
    const guests = readDefinedGuests(host);
    if (guests.length === 0) return [];
    const locks = guests.reduce((sum, { disks, leases }) => sum + disks.length + leases.length, 0);
    const clients = guests.length + SPARE_CLIENTS;
    const descriptors = locks + PER_CLIENT * clients + SPARE_DESCRIPTORS;
    const status = daemon.kind === "answers" ? daemon.status : undefined;
    const maxClients = status?.servers.find(({ name }) => name === "virtlockd")?.clientsMax ??
      LOCK_SETTINGS.defaults.maxClients;
    const findings: Finding[] = [];
    if (maxClients < clients) {
      findings.push(
        problem(
          `The daemon serves ${counted(maxClients, "client")} at once, ${
            counted(guests.length, "guest")
          } may need ${clients}: the others wait and do not start`,
          `Set max_clients in virtlockd.conf to at least ${clients} and send SIGHUP`,
        ),
      );
    }
    if (status !== undefined && status.descriptors.limit < descriptors) {
      findings.push(
        problem(
          `The daemon may have ${status.descriptors.limit} file descriptors, ${
            counted(guests.length, "guest")
          } may need ${descriptors}`,
          `Raise LimitNOFILE= of virtlockd.service to at least ${descriptors}, and that of the running daemon: prlimit --pid ${status.pid} --nofile=${descriptors}`,
        ),
      );
    }
    if (findings.length > 0) return findings;
    return [ok(`The limits are high enough for what is defined, ${counted(guests.length, "guest")}`)];
  },
};
