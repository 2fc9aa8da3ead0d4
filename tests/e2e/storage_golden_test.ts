import assert from "node:assert/strict";
import { THOROUGH } from "../support/thorough.ts";
import { runOk } from "./support/command.ts";
import { StoragePeer, type StorageServer } from "./support/storage_peer.ts";

// The same commands of virsh against libvirt's own storage driver and against this daemon: what a client sees
// is the same, but for what is listed here with its reason.

/** What hardly anybody asks for is left to a thorough run: each command is a process, twice. */
const SCRIPTS = ["commands", ...THOROUGH ? ["edge_cases", "options"] : []].map((name) =>
  Deno.readTextFileSync(new URL(`storage_golden/${name}.sh`, import.meta.url).pathname)
);

const NO_BACKEND = "the backend is a later stage";
const XML_PARSER = "the text of an XML error is its parser's";
const NO_SECRETS = "volumes with secrets are a later stage";
const IMAGE_VERSION =
  "libvirt 9 makes images of version 0.10 where none is named, libvirt 11 and this daemon 1.1";
const FORMAT_SAID = "qemu-img is told the format";

const OTHER_DAEMONS = "libvirt's own virtstoraged says the same: only libvirtd has all drivers in one";
const REMOVED = "the original's text is that of its cleaning up";
const LONG = "n".repeat(255);

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
  "vol-dumpxml c.qcow2 one (2)": IMAGE_VERSION,
  "vol-dumpxml d.qcow2 one (2)": IMAGE_VERSION,
  "vol-dumpxml f.qcow2 one": IMAGE_VERSION,
  "vol-dumpxml cl.bkq al": IMAGE_VERSION,
  "vol-dumpxml f.qcow2 al (2)": "after a wipe the header is read again",
  "vol-dumpxml bkq al": "a new volume's backing store is looked at",
  "vol-dumpxml dfq al": "libvirt 9 does not know the feature, libvirt 12 does",
  "vol-dumpxml jsonq al": "json: is not taken apart",
  "vol-create-as sp ace & <ü> 'q' v & <ö> 'x' \"y\" 1M": XML_PARSER,
  "vol-create-as al f.ploop 3M --format ploop": "ploop volumes are not served",
  "vol-resize f.vmdk 8M al": FORMAT_SAID,
  "vol-resize f.vdi 8M al": FORMAT_SAID,
  "vol-resize adir 8M al": "qemu-img is not asked about a directory",
  "-r pool-capabilities": NO_BACKEND,
  "net-list": OTHER_DAEMONS,
  "iface-list": OTHER_DAEMONS,
  "nodedev-list": OTHER_DAEMONS,
  "nwfilter-list": OTHER_DAEMONS,
  [`vol-create-as o ${LONG}n 1M --format qcow2`]: "the name is refused before qemu-img is run",
  [`vol-clone ${LONG} ${LONG}n o`]: REMOVED,
  "vol-create o DIR/tmp/w5.xml": IMAGE_VERSION,
  "vol-resize sub 1M o": "qemu-img is not asked about a directory",
  "vol-clone sub sub2 o": "the original's copy of a directory is an empty file",
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
    .replace(
      /cannot (?:send data to|receive data from|close|upload to|download from) volume/g,
      "cannot transfer volume",
    )
    .replace(/\((?:\/usr)?\/s?bin\//g, "(")
    .replace(/\d+(?:\.\d+)? (?:GiB|TiB)(?: +|$)/gm, "SIZE ")
    .replace(/ -{20,}\n/g, "LINE\n");
}

/** Outputs by command. */
async function outputs(server: StorageServer): Promise<Map<string, string>> {
  await using peer = await StoragePeer.start(server);
  let said = "";
  for (const [index, script] of SCRIPTS.entries()) {
    const directory = `${peer.directory}/${index}`;
    said += normalized(
      await runOk(peer, ["bash", "-c", script, "bash", directory], { deadline: 240_000 }),
      directory,
    );
  }
  const byCommand = new Map<string, string>();
  for (const block of said.split(/^\$ /m).slice(1)) {
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
  assert.ok(expected.size > (THOROUGH ? 400 : 130), `${expected.size} commands`);
  for (const [command, output] of expected) {
    const same = actual.get(command) === output;
    if (same !== command in DIFFERENT) continue;
    await test.step(
      command,
      () => assert.equal(actual.get(command), output, DIFFERENT[command] ?? "not the same"),
    );
  }
});
