import { type Check, ok, warning } from "./check.ts";

/** Part of the store that may be in use before it is time to say so. */
const NEARLY_FULL = 0.9;
/** Where its size is set: in the unit, for systemd and for the daemon. */
const BOTH = "FileDescriptorStoreMax= and VIRTLOCKD_FDSTORE_MAX";

/** Makes a running daemon look for the store anew and fill it. */
const MEND = "systemctl daemon-reload && systemctl reload virtlockd (all locks stay)";

/** Whether locks would survive a crash of the daemon. */
export const descriptorStore: Check = {
  name: "crash safety",
  run({ host, daemon }) {
    if (daemon.kind !== "answers" || host.kind("/run/systemd/system") !== "directory") return [];
    const { store } = daemon.status.sections;
    if (store?.present !== true || store.limit === 0) {
      return [
        warning(
          "systemd keeps no copies of the daemon's descriptors: a crash would lose every lock",
          `Set ${BOTH} of virtlockd.service to the same number if they are not, then: ${MEND}. Do not restart the daemon ` +
            "before that",
        ),
      ];
    }
    const { stored, limit, refused } = store;
    if (refused > 0 || stored >= limit * NEARLY_FULL) {
      const use = `${stored} of ${limit}`;
      return [
        warning(
          refused > 0
            ? `systemd's descriptor store is full, ${use}: ${refused} descriptors would not survive a crash`
            : `systemd's descriptor store is nearly full, ${use}: further locks would not survive a crash`,
          `Raise ${BOTH} to the same higher number, then: ${MEND}`,
        ),
      ];
    }
    return [ok(`systemd keeps copies of ${stored} descriptors, at most ${limit}`)];
  },
};
