/** Memory of a process that is its own, in KiB: {@link ProcessMemory}. */
export function ownKiB(pid: number): number {
  return processMemory(pid).own * 1024;
}

/** How many descriptors a process has open. */
export function openDescriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
}

/** The state of a process's first thread (proc(5), stat): "S" while it sleeps, "T" while it is stopped. */
export function taskState(pid: number): string {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}

/** A file of /proc about a process; undefined when that is gone, or goes while it is read. */
export function processFile(pid: number, name: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${name}`);
  } catch (error) {
    // ESRCH has no name here.
    if (error instanceof Deno.errors.NotFound || /os error 3\b/.test(String(error))) return undefined;
    throw error;
  }
}

/** Whether a process runs: one that has ended and that nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  const status = processFile(pid, "status");
  return status !== undefined && !/^State:\s+[ZX]/m.test(status);
}

/** Processor time that a process has used, in ms (proc(5), stat: clock ticks of 10 ms). */
export function processorMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/**
 * Where the stack begins: chosen at random by each execve, so it tells one image of a process from the next.
 */
export function imageMark(pid: number): string {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // Field 28 of proc(5), counted behind the command in parentheses.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[25] ?? "";
}

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

/** Memory of a process in MiB. */
export interface ProcessMemory {
  readonly resident: number;
  /** What of it no file is behind. */
  readonly anonymous: number;
  /** What of it is its own: without pages of files, which the kernel brings and takes away as it likes. */
  readonly own: number;
}

/** Memory of a process as proc(5) tells it. @throws Error when the process has ended */
export function processMemory(pid: number): ProcessMemory {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const field = (name: string) => {
    const kib = new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1];
    if (kib === undefined) throw new Error(`Read status of ${pid}: no ${name} in '${status}'`);
    return Number(kib) / 1024;
  };
  return { resident: field("VmRSS"), anonymous: field("RssAnon"), own: field("RssAnon") + field("RssShmem") };
}

/** Processes that another one has started. */
export function childrenOf(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}
