import { cString } from "../../src/os/c_string.ts";
import { STATX_SIZE } from "../../src/os/file_facts.ts";
import type { FoundImage } from "../../src/storaged/volumes/found_volume.ts";
import type { SeenVolume } from "../../src/storaged/volumes/volume_reader.ts";
import { RowWriter, VolumeRows } from "../../src/storaged/volumes/volume_rows.ts";

/** A raw image. */
export const RAW: FoundImage = {
  type: "file",
  format: "raw",
  capacity: undefined,
  encryptionHeader: 0n,
  end: undefined,
  clusterSize: 0n,
  compat: undefined,
  features: undefined,
  encryption: undefined,
  backing: undefined,
};

/** A volume as a reader sees it: of so many bytes, in 8 blocks, with mode 0640, of 7:8, times 1.2 to 7.8. */
export function seen(size: number, differing: Partial<Omit<SeenVolume, "facts">> = {}): SeenVolume {
  const facts = new Uint8Array(STATX_SIZE);
  const view = new DataView(facts.buffer);
  view.setUint32(0, 0x1fff, true);
  view.setUint16(28, 0o100640, true);
  view.setUint32(20, 7, true);
  view.setUint32(24, 8, true);
  view.setBigUint64(40, BigInt(size), true);
  view.setBigUint64(48, 8n, true);
  [64, 80, 96, 112].forEach((at, index) => {
    view.setBigInt64(at, BigInt(1 + 2 * index), true);
    view.setUint32(at + 8, 2 + 2 * index, true);
  });
  return { facts, image: RAW, label: undefined, interrupted: false, ...differing };
}

/** What a helper sends of such volumes, as the daemon has it, in a pool at `/p`. */
export function foundRows(volumes: Readonly<Record<string, SeenVolume>>): VolumeRows {
  const rows = new VolumeRows("/p");
  const writer = new RowWriter((batch) => rows.add(batch.slice()));
  for (const [name, volume] of Object.entries(volumes)) writer.add(cString(name), volume);
  writer.finish();
  return rows;
}
