/** What the kernel has counted for a process, all threads together. */
export interface Usage {
  /** Time on a CPU, in milliseconds. */
  readonly cpu: number;
  /** How often a thread went to sleep or was interrupted. */
  readonly switches: number;
}

/** Reads /proc/PID/task; threads that have ended are not in it. */
export function processUsage(pid: number | "self"): Usage {
  let cpu = 0;
  let switches = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const task = `/proc/${pid}/task/${name}`;
    // Nanoseconds on a CPU, nanoseconds waiting for one, time slices.
    cpu += Number(Deno.readTextFileSync(`${task}/schedstat`).split(" ")[0]) / 1e6;
    for (const [, count] of Deno.readTextFileSync(`${task}/status`).matchAll(/ctxt_switches:\s*(\d+)/g)) {
      switches += Number(count);
    }
  }
  return { cpu, switches };
}

/** Resident memory in MB (2^20 bytes): all of it, and what is not backed by a file. */
export function residentMemory(pid: number): { total: number; anonymous: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const field = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { total: field("VmRSS"), anonymous: field("RssAnon") };
}
