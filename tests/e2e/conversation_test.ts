import assert from "node:assert/strict";
import { administration } from "./conversations/administration.ts";
import { conflicts } from "./conversations/conflicts.ts";
import { dispatch } from "./conversations/dispatch.ts";
import { limits } from "./conversations/limits.ts";
import { lockspaces } from "./conversations/lockspaces.ts";
import { logging } from "./conversations/logging.ts";
import { owners } from "./conversations/owners.ts";
import { resources } from "./conversations/resources.ts";
import { runOk } from "./support/command.ts";
import { type Conversation, differences } from "./support/conversation.ts";
import { installMissing } from "./support/debian_packages.ts";
import { OUR_DAEMON, REFERENCE_DAEMON } from "./support/libvirt_lab.ts";
import { PrivateHost } from "./support/private_host.ts";

// The same requests to libvirt's own daemon and to this one. The tables hold what the former answers, word
// for word, and what this one answers otherwise, each time with the reason.

const CONVERSATIONS: readonly Conversation[] = [
  dispatch,
  owners,
  lockspaces,
  resources,
  conflicts,
  administration,
  limits,
  logging,
];

const DAEMONS = [
  { name: "Debian's virtlockd", executable: REFERENCE_DAEMON, side: "reference" },
  { name: "our virtlockd", executable: OUR_DAEMON, side: "ours" },
] as const;

for (const { name, executable, side } of DAEMONS) {
  for (const conversation of CONVERSATIONS) {
    const { about, prepare } = conversation;
    Deno.test(`${name} answers ${about} as the table says`, async () => {
      await installMissing(["libvirt-daemon"]);
      await using host = await PrivateHost.create();
      if (prepare !== undefined) {
        await runOk(host, ["sh", "-ec", prepare]);
      }
      await runOk(host, [executable, "-d"]);
      assert.deepEqual(await differences(conversation, (path) => host.outside(path), side), []);
    });
  }
}
