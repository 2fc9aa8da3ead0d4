import type { Core } from "./core.ts";
import type { Job } from "./job_list.ts";
import type { WorkOptions } from "./pool_work.ts";
import { refresh } from "./refresh.ts";

// How jobs are done. One whose storage hangs is given up: its call ends, and what the kernel still does for
// it is followed until that has ended too.

/** A job has a helper of its own, as long as it takes, and as long as something goes on. */
export function jobOptions(core: Core, job: Job): WorkOptions {
  return { ...streamOptions(core, job), silence: core.parts.settings().startLimit };
}

/** A stream may stand still because of its client: it knows itself whom it waits for. */
export function streamOptions(core: Core, job: Job): WorkOptions {
  const { pool } = job;
  return {
    pool,
    place: `job ${job.id}`,
    job,
    // What came of it is known only to the storage.
    late: () => {
      if (pool.state.kind === "active") refresh(core, pool, () => {});
    },
  };
}
