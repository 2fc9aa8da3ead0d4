// A program with no other command than the storage helper, for tests that need no daemon.
import { linuxSys } from "../../src/os/linux.ts";
import { exitProcess } from "../../src/os/runtime.ts";
import { runDeputy, runStorageHelper } from "../../src/lockd/storage/helper_main.ts";
import { DEPUTY_COMMAND } from "../../src/lockd/storage/helper_protocol.ts";

const [command, ...args] = Deno.args;
const sys = linuxSys();
exitProcess(command === DEPUTY_COMMAND ? runDeputy(sys) : runStorageHelper(sys, args));
