import { StoragePeer, type StorageServer } from "../../e2e/support/storage_peer.ts";
import { runOk } from "../../e2e/support/command.ts";
import { type Figure, type Line, median } from "../line.ts";
import type { Row } from "../row.ts";

/** Volumes in the pool that is refreshed. */
const VOLUMES = 10_000;
/** Bytes of the volume that is sent and received. */
const SIZE = 1 << 30;
/** Times that each is measured for one round of the effort, in turn. */
const TIMES = 2;

const SET_UP = `
mkdir -p "$1/many" "$1/pool"
cd "$1/many"
for i in $(seq ${VOLUMES}); do echo "v$i"; done | xargs truncate -s 1M
head -c ${SIZE} /dev/urandom >"$1/data"
virsh -q -c storage:///system "pool-define-as many dir --target $1/many; pool-start many"
virsh -q -c storage:///system "pool-define-as p dir --target $1/pool; pool-start p; vol-create-as p v ${SIZE}b"
`;

/** What is measured: the command of virsh, and what a time becomes. */
interface Measure {
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
  readonly least: number;
  readonly command: (directory: string) => readonly string[];
  readonly value: (milliseconds: number) => number;
}

const rate = (milliseconds: number) => SIZE / 1e6 / (milliseconds / 1000);

const MEASURES: readonly Measure[] = [
  {
    title: `refresh of ${VOLUMES} volumes (virsh)`,
    unit: "ms",
    better: "less",
    least: 2,
    command: () => ["pool-refresh", "many"],
    value: (milliseconds) => milliseconds,
  },
  {
    title: "upload of 1 GiB (virsh)",
    unit: "MB/s",
    better: "more",
    least: 1,
    command: (directory) => ["vol-upload", "v", `${directory}/data`, "--pool", "p"],
    value: rate,
  },
  {
    title: "download of 1 GiB (virsh)",
    unit: "MB/s",
    better: "more",
    least: 3,
    command: () => ["vol-download", "v", "/dev/null", "--pool", "p"],
    value: rate,
  },
];

/** The storage daemon beside libvirt's, each on a private host, in turn. Root only. */
export const storageRow: Row = {
  name: "storage",
  summary: "refresh, upload and download of the storage daemon beside libvirtd",
  async run(bench) {
    await using ours = await ready("ours");
    await using theirs = await ready("libvirt");
    const lines: Line[] = [];
    for (const measure of MEASURES) {
      const times: Record<StorageServer, number[]> = { ours: [], libvirt: [] };
      for (let time = 0; time < bench.effort.rounds * TIMES; time++) {
        for (const peer of [ours, theirs]) times[peer.server].push(await timed(peer, measure));
      }
      const { title, unit, better, least } = measure;
      lines.push({
        row: "storage",
        title,
        unit,
        better,
        ours: figure(times.ours),
        theirs: figure(times.libvirt),
        goal: { kind: "ratio", least },
      });
    }
    return lines;
  },
};

/** A host that serves, with its pools. */
async function ready(server: StorageServer): Promise<StoragePeer> {
  const peer = await StoragePeer.start(server);
  await runOk(peer, ["sh", "-ec", SET_UP, "sh", peer.directory], { deadline: 120_000 });
  return peer;
}

async function timed(peer: StoragePeer, { command, value }: Measure): Promise<number> {
  const begun = performance.now();
  await peer.virsh(...command(peer.directory));
  return value(performance.now() - begun);
}

function figure(values: readonly number[]): Figure {
  return {
    value: median(values),
    note: `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`,
  };
}
