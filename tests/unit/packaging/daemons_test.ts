import assert from "node:assert/strict";
import { daemonNamed, listedDaemons } from "../../../packaging/daemons.ts";

Deno.test("listedDaemons() reads them out of main.ts", () => {
  const main = `await runFamily({
  virtad: () => import("./src/ad/cli/main.ts"),
  virtbd: () => import("./src/bd/main.ts"),
});
`;
  assert.deepEqual(listedDaemons(main), [
    { name: "virtad", module: "./src/ad/cli/main.ts" },
    { name: "virtbd", module: "./src/bd/main.ts" },
  ]);
  assert.deepEqual(listedDaemons()[0], { name: "virtlockd", module: "./src/lockd/cli/main.ts" });
});

Deno.test("listedDaemons() does not take a main.ts that it cannot read for one of no daemons", () => {
  assert.throws(() => listedDaemons("await main();\n"), { message: "Find the daemons: main.ts lists none" });
});

Deno.test("daemonNamed() tells which there are when it is asked for another one", () => {
  assert.deepEqual(daemonNamed("virtlockd"), { name: "virtlockd", module: "./src/lockd/cli/main.ts" });
  assert.throws(() => daemonNamed("virtnoned"), /^Error: Build virtnoned: the daemons are virtlockd/);
});
