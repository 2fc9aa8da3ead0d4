import assert from "node:assert/strict";
import { isMounted, mountArguments, mountSource } from "../../../../src/storaged/backends/mount.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { encodeText } from "../../../../src/os/text.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";

function netfs(source: string, options = "") {
  return parsePool(
    `<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>n</name><source>${source}` +
      `</source><target><path>/mnt/a b</path></target>${options}</pool>`,
  );
}

const HOST = "<host name='server'/><dir path='/exports'/>";

Deno.test("mountArguments() never lets a device, a program or somebody's rights come from a guest", () => {
  const safe = "-o nodev,nosuid,noexec";
  const cases: [string, string][] = [
    [HOST, `${safe} server:/exports /mnt/a b`],
    [`${HOST}<format type='nfs'/>`, `${safe} -t nfs server:/exports /mnt/a b`],
    [`${HOST}<format type='nfs'/><protocol ver='4'/>`, `${safe},nfsvers=4 -t nfs server:/exports /mnt/a b`],
    [`${HOST}<format type='cifs'/>`, `${safe},guest -t cifs //server//exports /mnt/a b`],
    [
      `${HOST}<format type='glusterfs'/>`,
      `${safe},direct-io-mode=1 -t glusterfs server:/exports /mnt/a b`,
    ],
  ];
  for (const [source, line] of cases) assert.equal(mountArguments(netfs(source)).join(" "), line);
  const options = "<fs:mount_opts><fs:option name='sync'/></fs:mount_opts>";
  assert.equal(mountArguments(netfs(HOST, options))[1], "nodev,nosuid,noexec,sync");
});

Deno.test("mountSource() refuses more than one host or device", () => {
  const two = netfs(`<host name='a'/>${HOST}`);
  const message = "unsupported configuration: expected exactly 1 host for the storage pool";
  assert.throws(() => mountSource(two), { code: 67, message });
});

/** A kernel whose list of mounts is this. */
function listing(text: string) {
  const bytes = encodeText(text);
  return {
    ...linuxSys(),
    open: () => 3,
    close: () => 0,
    pread: (_fd: number, into: Uint8Array, position: number) => {
      const piece = bytes.subarray(position, position + into.length);
      into.set(piece);
      return piece.length;
    },
  };
}

Deno.test("isMounted() finds source and target in the list of mounts, with escaped spaces", () => {
  const never = () => false;
  const pool = netfs(HOST);
  assert.equal(isMounted(listing("server:/exports /mnt/a\\040b nfs4 rw 0 0\n"), never, pool), true);
  assert.equal(isMounted(listing("server:/exports/ /mnt/a\\040b nfs4 rw 0 0\n"), never, pool), true);
  assert.equal(isMounted(listing("server:/other /mnt/a\\040b nfs4 rw 0 0\n"), never, pool), false);
  assert.equal(isMounted(listing("server:/exports /mnt/a nfs4 rw 0 0\n"), never, pool), false);
});

Deno.test("isMounted() takes two names of one device for the same", () => {
  const pool = parsePool(
    "<pool type='fs'><name>f</name><source><device path='/dev/disk/by-id/x'/></source>" +
      "<target><path>/mnt</path></target></pool>",
  );
  const mounts = listing("/dev/sda1 /mnt ext4 rw 0 0\n");
  assert.equal(
    isMounted(mounts, (one, other) => one === "/dev/sda1" && other === "/dev/disk/by-id/x", pool),
    true,
  );
  assert.equal(isMounted(mounts, () => false, pool), false);
});
