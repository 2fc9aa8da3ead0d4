import assert from "node:assert/strict";
import { builtPrograms, contentsNamed } from "../../../packaging/contents.ts";
import { listedDaemons } from "../../../packaging/daemons.ts";

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

Deno.test("every daemon becomes a program, and so does the link with etcd", () => {
  assert.deepEqual(builtPrograms().map(({ name }) => name), [
    "virtlockd",
    "virtstoraged",
    "virtlockd-cluster",
  ]);
});

Deno.test("the link with etcd may use the network, read and see its environment, and nothing else", () => {
  assert.deepEqual(contentsNamed("virtlockd-cluster").permissions, [
    "--allow-net",
    "--allow-read",
    "--allow-env",
  ]);
});

Deno.test("contentsNamed() tells which there are when it is asked for another one", () => {
  assert.equal(contentsNamed("virtlockd").module, "./src/lockd/cli/main.ts");
  assert.throws(() => contentsNamed("virtnoned"), {
    message: "Build virtnoned: the programs are virtlockd, virtstoraged, virtlockd-cluster",
  });
});
