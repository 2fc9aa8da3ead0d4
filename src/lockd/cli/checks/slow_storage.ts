import { type Check, problem } from "./check.ts";

/** Whether network storage answers. */
export const slowStorage: Check = {
  name: "storage",
  run({ daemon }) {
    if (daemon.kind !== "answers") return [];
    const mounts = Object.entries(daemon.status.sections.storage);
    return mounts.filter(([, state]) => state === "hung").map(([mount]) =>
      problem(
        `The storage at ${mount} does not answer: guests with disks on it cannot start or stop`,
        "See to its server; what was waiting goes on by itself",
      )
    );
  },
};
