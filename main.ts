// The entry point of virtlockd: chooses between the daemon and the commands that ask a running one.
import { main } from "./src/lockd/cli/main.ts";

main();
