// What `deno task start` says before the daemon runs in its terminal.
import { VIRTLOCKD } from "../src/lockd/identity/identity.ts";
import process from "node:process";
import { defaultPaths } from "../src/chassis/config/paths.ts";

const uid = process.getuid?.() ?? 0;
const { socket } = defaultPaths(VIRTLOCKD, { uid, env: process.env, exists: () => false });
const uri = uid === 0 ? "virtlockd:///system" : "virtlockd:///session";
console.log(`
The daemon serves at ${socket} and logs here. In another terminal, here:

  ./virtlockd status           how it is
  ./virtlockd locks --watch    who locks what, as it changes
  ./virtlockd doctor           what keeps this host's guests without locks
  virt-admin -c ${uri} client-list virtlockd

Ctrl-C ends it.
`);
