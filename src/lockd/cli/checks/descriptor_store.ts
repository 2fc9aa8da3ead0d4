import { counted } from "../../../chassis/log/counted.ts";
import { serviceUnit } from "../../../chassis/systemd/unit.ts";
import type { StatusDocument } from "../../status/status_document.ts";
import { type Check, type DaemonView, type Finding, ok, type Patient, problem, warning } from "./check.ts";

/** Part of the store that may be in use before it is time to say so. */
const NEARLY_FULL = 0.9;
/** Where its size is set: in the unit, for systemd and for the daemon. */
const BOTH = "FileDescriptorStoreMax= and VIRTLOCKD_FDSTORE_MAX";

/** Makes a running daemon look for the store anew and fill it. */
const MEND = "systemctl daemon-reload && systemctl reload virtlockd (all locks stay)";

type Store = Extract<NonNullable<StatusDocument["sections"]["store"]>, { present: true }>;

/** Whether locks would survive a crash of the daemon. */
export const descriptorStore: Check = {
  name: "crash safety",
  async run(patient) {
    const { host, daemon } = patient;
    if (daemon.kind !== "answers" || host.kind("/run/systemd/system") !== "directory") return [];
    const { store } = daemon.status.sections;
    if (store?.present === true && store.kept === false) return [nothingKept(store)];
    if (store?.present !== true || store.limit === 0) {
      return [
        warning(
          "systemd keeps no copies of the daemon's descriptors: a crash would lose every lock",
          `Set ${BOTH} of virtlockd.service to the same number if they are not, then: ${MEND}. Do not restart the daemon ` +
            "before that",
        ),
      ];
    }
    return [await missing(patient) ?? room(store)];
  },
};

/** The daemon knows that systemd has dropped what it kept, and tries again. */
function nothingKept({ reason = "systemd has dropped them" }: Store): Finding {
  return problem(
    `systemd keeps no copies of the daemon's descriptors any more (${reason}): a crash or a restart would free every lock ` +
      "until the next daemon",
    "Do not restart or stop the daemon. See that virtlockd.service is not masked and that its FileDescriptorStoreMax= is " +
      `65536 (systemctl show virtlockd -p FileDescriptorStoreMax; systemctl cat virtlockd), then: ${MEND}`,
  );
}

/** What systemd really has; undefined when it is what the daemon counts, or cannot be told. */
async function missing({ daemon, host, serviceStore, lookAgain }: Patient): Promise<Finding | undefined> {
  const pid = daemon.kind === "answers" ? daemon.status.pid : 0;
  const unit = serviceUnit(host.read(`/proc/${pid}/cgroup`) ?? "");
  const first = unit === undefined ? undefined : await serviceStore(unit);
  if (unit === undefined || first === undefined || first.kept >= countedBy(daemon)) return undefined;
  // What came or went in that moment is over in the next one.
  const counted = countedBy(lookAgain());
  const second = await serviceStore(unit);
  if (second === undefined || second.kept >= counted) return undefined;
  return problem(
    `The daemon counts ${counted} descriptors in systemd's store, and systemd has ${second.kept}: a crash or a restart ` +
      "would free the locks of the others",
    `Do not restart or stop the daemon; have it store everything anew: ${MEND}`,
  );
}

/** What the daemon counts, but for connections such as the one that asks, which have ended. */
function countedBy(daemon: DaemonView): number {
  const store = daemon.kind === "answers" ? daemon.status.sections.store : undefined;
  if (daemon.kind !== "answers" || store?.present !== true) return 0;
  return store.stored - (daemon.status.servers.find(({ name }) => name === "admin")?.clients ?? 0);
}

function room({ stored, limit, refused }: Store): Finding {
  if (refused === 0 && stored < limit * NEARLY_FULL) {
    return ok(`systemd keeps copies of ${stored} descriptors, at most ${limit}`);
  }
  const use = `${stored} of ${limit}`;
  if (refused > 0 && stored + refused < limit) {
    return warning(
      `${
        counted(refused, "descriptor")
      } could not be given to systemd and would not survive a crash, though it has room, ` +
        use,
      "The reason is in: journalctl -u virtlockd -g 'is not kept'. 'Too many references' is a low LimitNOFILE= of " +
        `virtlockd.service. Mend that, then: ${MEND}`,
    );
  }
  return warning(
    refused > 0
      ? `systemd's descriptor store is full, ${use}: ${refused} descriptors would not survive a crash`
      : `systemd's descriptor store is nearly full, ${use}: further locks would not survive a crash`,
    `Raise ${BOTH} to the same higher number, then: ${MEND}`,
  );
}
