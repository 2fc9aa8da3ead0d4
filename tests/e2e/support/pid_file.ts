/**
 * What a PID file says.
 *
 * @throws Error when it says nothing, as while it is being written. To take that for 0 would be to signal the
 *   test itself, with all that runs beside it in its process group
 */
export async function pidIn(path: string): Promise<number> {
  const pid = Number(await Deno.readTextFile(path));
  if (!(pid > 0)) throw new Error(`Read the PID file ${path}: it says nothing yet`);
  return pid;
}
