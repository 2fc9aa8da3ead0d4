import assert from "node:assert/strict";
import { Place } from "../../support/place.ts";

Deno.test("deno task start says where the daemon serves, and what to try next", async () => {
  using place = Place.create();
  const script = new URL("../../../packaging/start_hint.ts", import.meta.url).pathname;
  const [file = "", ...args] = place.command([Deno.execPath(), "run", "-A", script]);
  const { stdout } = await new Deno.Command(file, { args, clearEnv: true, env: { ...place.env } }).output();
  const said = new TextDecoder().decode(stdout);
  assert.ok(said.includes(`\nThe daemon serves at ${place.paths.socket} and logs here.`), said);
  const commands = [...said.matchAll(/^ {2}(\S+ \S+)/gm)].map(([, command]) => command);
  assert.deepEqual(commands, [
    "./virtlockd status",
    "./virtlockd locks",
    "./virtlockd doctor",
    "virt-admin -c",
  ]);
  assert.match(said, /virtlockd:\/\/\/session client-list/);
});
