// The program, with a switch that kills it at a chosen system call.
import { main } from "../../src/lockd/cli/main.ts";
import { O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { linuxSys } from "../../src/os/linux.ts";
import type { Sys } from "../../src/os/sys.ts";
import { must } from "../../src/os/system_error.ts";
import { KILL_SIZE, KILL_VARIABLE, killingSys } from "./killing_sys.ts";

const sys = linuxSys();
// Neither the new program, which a daemon that is about to re-exec asks who it is, nor a helper process is
// meant. Helpers have none of the variables.
main(Deno.args.some((arg) => arg === "--version" || arg.startsWith("internal")) ? sys : withSwitch());

function withSwitch(): Sys {
  const path = Deno.env.get(KILL_VARIABLE) ?? "";
  const fd = must(sys.open(path, O_RDWR | O_CLOEXEC, 0), "open", path);
  const mapping = sys.map(fd, KILL_SIZE);
  sys.close(fd);
  if (typeof mapping === "number") throw new Error(`Map ${path}: errno ${-mapping}`);
  return killingSys(sys, mapping);
}
