// The load process: carries out one task (JSON in its argument), prints one line of JSON, and ends; when it
// holds connections, at the end of its standard input. It uses FFI system calls on frames prepared once, so
// that little of the measured time is its own.
import { linuxSys } from "../../../src/os/linux.ts";
import { must } from "../../../src/os/system_error.ts";
import { runHold } from "./run_hold.ts";
import { runLoad } from "./run_load.ts";
import { runReExec } from "./run_re_exec.ts";
import type { Task } from "./task.ts";

const sys = linuxSys();
const task: Task = JSON.parse(Deno.args[0] ?? "");
switch (task.kind) {
  case "load":
    console.log(JSON.stringify(runLoad(sys, task.target, task)));
    break;
  case "re-exec":
    console.log(JSON.stringify(runReExec(sys, task.target, task)));
    break;
  case "hold":
    console.log(JSON.stringify(runHold(sys, task.target, task)));
    while (must(sys.read(0, new Uint8Array(64)), "read", "standard input") > 0);
    break;
}
