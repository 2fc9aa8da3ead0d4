// The lock daemon's program as it is.
import { main } from "../../../src/lockd/cli/main.ts";

await main();
