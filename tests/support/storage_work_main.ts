// A helper process with operations that tests need: `deno run -A storage_work_main.ts internal-work`.
import { linuxSys } from "../../src/os/linux.ts";
import { runHelper } from "../../src/storaged/work/helper.ts";
import { WORK_OPERATIONS } from "./storage_work.ts";

runHelper(linuxSys(), WORK_OPERATIONS);
