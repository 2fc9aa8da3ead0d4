/** Resident memory of a process, in KiB (proc(5), status). */
export function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]);
}

/** How many descriptors a process has open. */
export function openDescriptors(pid: number): number {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
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
