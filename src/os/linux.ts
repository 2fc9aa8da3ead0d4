import { eventSys } from "./event_sys.ts";
import { fileSys } from "./file_sys.ts";
import { openLibc } from "./libc.ts";
import { memorySys } from "./memory_sys.ts";
import { processSys } from "./process_sys.ts";
import { socketSys } from "./socket_sys.ts";
import type { Sys } from "./sys.ts";

/**
 * The real kernel, for the calling thread only.
 *
 * @throws TypeError when libc lacks a function
 */
export function linuxSys(): Sys {
  const libc = openLibc();
  return {
    ...fileSys(libc),
    ...socketSys(libc),
    ...eventSys(libc),
    ...processSys(libc),
    ...memorySys(libc),
  };
}
