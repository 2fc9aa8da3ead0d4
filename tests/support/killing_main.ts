// The program, with a switch that kills it at a chosen system call.
import { main } from "../../src/lockd/cli/main.ts";
import { O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { must } from "../../src/os/system_error.ts";
import { KILL_SIZE, KILL_VARIABLE, killingSys } from "./killing_sys.ts";

const sys = linuxSys();
const path = Deno.env.get(KILL_VARIABLE) ?? "";
const fd = must(sys.open(path, O_RDWR | O_CLOEXEC, 0), "open", path);
const mapping = sys.map(fd, KILL_SIZE);
sys.close(fd);
if (typeof mapping === "number") throw new Error(`Map ${path}: errno ${-mapping}`);
// A daemon that is about to re-exec asks the new program who it is: that one is not meant.
main(
  Deno.args.some((arg) => arg === "--version" || arg.startsWith("internal")) ? sys : killingSys(sys, mapping),
);
