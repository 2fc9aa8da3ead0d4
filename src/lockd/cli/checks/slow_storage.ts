import { type Check, problem } from "./check.ts";

/** Whether network storage answers. */
export const slowStorage: Check = {
  name: "storage",
  run({ daemon, silent }) {
    const states = daemon.kind === "answers" ? Object.entries(daemon.status.sections.storage) : [];
    const hung = states.filter(([, state]) => state === "hung").map(([mount]) => mount);
    return [...new Set([...hung, ...silent])].map((mount) =>
      problem(
        `The storage at ${mount} does not answer: guests with disks on it cannot start or stop`,
        "See to its server; what was waiting goes on by itself",
      )
    );
  },
};
