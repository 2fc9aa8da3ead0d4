// The lock daemon's program from its sources, as the build makes it.
import { main } from "../../src/lockd/cli/main.ts";

await main();
