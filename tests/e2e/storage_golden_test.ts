import assert from "node:assert/strict";
import { runOk } from "./support/command.ts";
import { StoragePeer, type StorageServer } from "./support/storage_peer.ts";

// One script of virsh against libvirt's own storage driver and against this daemon: what a client sees is the
// same, but for what is listed here with its reason.

const SCRIPT = await Deno.readTextFile(new URL("storage_golden/commands.sh", import.meta.url).pathname);

const NO_BACKEND = "the backend is a later stage";
const XML_PARSER = "the text of an XML error is its parser's";
const NO_SECRETS = "volumes with secrets are a later stage";

/** Commands whose output is another one, each with its reason. A number tells the second from the first. */
const DIFFERENT: Readonly<Record<string, string>> = {
  "find-storage-pool-sources logical": NO_BACKEND,
  "find-storage-pool-sources disk": NO_BACKEND,
  "find-storage-pool-sources iscsi": NO_BACKEND,
  "find-storage-pool-sources scsi": NO_BACKEND,
  "find-storage-pool-sources mpath": NO_BACKEND,
  "capabilities": NO_BACKEND,
  "pool-capabilities": NO_BACKEND,
  "pool-define DIR/tmp/p1.xml": XML_PARSER,
  "vol-create one DIR/tmp/v7.xml": NO_SECRETS,
  "vol-create one DIR/tmp/v5.xml --validate": "libvirt 9.0 refuses the flag that its client sends",
};

/** What is another one at each run, or at each of the two places. */
function normalized(text: string, directory: string): string {
  return text
    .replaceAll(directory, "DIR")
    .replace(/<(\wtime)>[\d.]+<\//g, "<$1>TIME</")
    .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID")
    .replace(/(Capacity|Allocation|Available):( +)[\d.]+ (?:GiB|TiB)/g, "$1:$2SIZE")
    .replace(/(<(?:capacity|allocation|available) unit='bytes'>)\d{9,}</g, "$1SIZE<")
    .replace(/\/dev\/loop\d+/g, "LOOP")
    // The client hears of a failure with its next data or at the end, whichever comes first.
    .replace(/cannot (?:send data to|close) volume/g, "cannot upload to volume")
    .replace(/\((?:\/usr)?\/s?bin\//g, "(")
    .replace(/(\d+(?:\.\d+)? (?:GiB|TiB)) +/g, "SIZE ")
    .replace(/ -{20,}\n/g, "LINE\n");
}

/** Outputs by command. */
async function outputs(server: StorageServer): Promise<Map<string, string>> {
  await using peer = await StoragePeer.start(server);
  const said = await runOk(peer, ["bash", "-c", SCRIPT, "bash", peer.directory], { deadline: 240_000 });
  const byCommand = new Map<string, string>();
  for (const block of normalized(said, peer.directory).split(/^\$ /m).slice(1)) {
    const end = block.indexOf("\n");
    const command = block.slice(0, end);
    let name = command;
    for (let number = 2; byCommand.has(name); number++) name = `${command} (${number})`;
    byCommand.set(name, block.slice(end + 1));
  }
  return byCommand;
}

Deno.test("virsh sees of this daemon what it sees of libvirt's", async (test) => {
  const expected = await outputs("libvirt");
  const actual = await outputs("ours");
  assert.deepEqual([...actual.keys()], [...expected.keys()]);
  assert.ok(expected.size > 150, `${expected.size} commands`);
  for (const [command, output] of expected) {
    const same = actual.get(command) === output;
    if (same !== command in DIFFERENT) continue;
    await test.step(command, () => assert.equal(actual.get(command), output, DIFFERENT[command]));
  }
});
