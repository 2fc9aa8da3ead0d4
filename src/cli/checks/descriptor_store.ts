import { type Check, ok, warning } from "./check.ts";

/** Part of the store that may be in use before it is time to say so. */
const NEARLY_FULL = 0.9;

/** Whether locks would survive a crash of the daemon. */
export const descriptorStore: Check = {
  name: "crash safety",
  run({ host, daemon }) {
    if (daemon.kind !== "answers" || host.kind("/run/systemd/system") !== "directory") return [];
    const store = daemon.status.sections["store"];
    const max = Number(store?.["max"] ?? 0);
    if (max === 0) {
      return [
        warning(
          "systemd keeps no copies of the daemon's descriptors: a crash would lose every lock",
          "Run the daemon from its unit, with FileDescriptorStoreMax= and VIRTLOCKD_FDSTORE_MAX set to the same number",
        ),
      ];
    }
    const stored = Number(store?.["stored"] ?? 0);
    if (stored >= max * NEARLY_FULL) {
      return [
        warning(
          `systemd's descriptor store is nearly full, ${stored} of ${max}: further locks would not survive a crash`,
          "Raise FileDescriptorStoreMax= and VIRTLOCKD_FDSTORE_MAX to the same higher number",
        ),
      ];
    }
    return [ok(`systemd keeps copies of ${stored} descriptors, at most ${max}`)];
  },
};
