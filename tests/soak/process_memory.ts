/** Memory of a process in MiB. */
export interface ProcessMemory {
  readonly resident: number;
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
  return { resident: field("VmRSS"), own: field("RssAnon") + field("RssShmem") };
}
