// A program with no other command than the storage helper, for tests that need no daemon.
import { linuxSys } from "../../src/os/linux.ts";
import { exitProcess } from "../../src/os/runtime.ts";
import { runStorageHelper } from "../../src/lockd/storage/helper_process.ts";

const [, ...args] = Deno.args;
exitProcess(runStorageHelper(linuxSys(), args));
