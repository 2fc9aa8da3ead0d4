import { setTimeout } from "node:timers/promises";
import { StoragePeer, type StorageServer } from "../../e2e/support/storage_peer.ts";
import { runOk } from "../../e2e/support/command.ts";
import { processMemory, processorMs, processUsage } from "../../support/process_usage.ts";
import { type Figure, type Line, median } from "../line.ts";
import type { Row } from "../row.ts";
import { StreamClient } from "../storage/stream_client.ts";

/** Volumes in the pool that is refreshed. */
const VOLUMES = 10_000;
/** Bytes of the volume that is sent and received. */
const SIZE = 1 << 30;
/** Times that each is measured for one round of the effort, in turn. */
const TIMES = 2;
/** How long after its last call a daemon counts as idle, and how long it is then watched, in ms. */
const SETTLE = 1000;
const WATCH = 4000;

const SET_UP = `
mkdir -p "$1/many" "$1/overlays" "$1/pool"
cd "$1/many"
for i in $(seq ${VOLUMES}); do echo "v$i"; done | xargs truncate -s 1M
cd "$1/overlays"
qemu-img create -q -f qcow2 base 1M
qemu-img create -q -f qcow2 -b "$1/overlays/base" -F qcow2 v 1M
for i in $(seq ${VOLUMES}); do cp v "v$i"; done
head -c ${SIZE} /dev/urandom >"$1/data"
virsh -q -c storage:///system "pool-define-as many dir --target $1/many; pool-start many"
virsh -q -c storage:///system "pool-define-as overlays dir --target $1/overlays; pool-start overlays"
virsh -q -c storage:///system "pool-define-as p dir --target $1/pool; pool-start p; vol-create-as p v ${SIZE}b"
`;

const SOCKETS: Record<StorageServer, string> = {
  ours: "/run/libvirt/virtstoraged-sock",
  libvirt: "/run/libvirt/libvirt-sock",
};
const PID_FILES: Record<StorageServer, string> = {
  ours: "/run/virtstoraged.pid",
  libvirt: "/run/libvirtd.pid",
};

/** What is measured: what is done, and what a time becomes. */
interface Measure {
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
  readonly least: number;
  readonly work: (peer: StoragePeer) => Promise<void>;
  readonly value: (milliseconds: number) => number;
}

const rate = (milliseconds: number) => SIZE / 1e6 / (milliseconds / 1000);
const rates = { unit: "MB/s", better: "more", value: rate } as const;
const times = { unit: "ms", better: "less", value: (milliseconds: number) => milliseconds } as const;

function virsh(command: (directory: string) => readonly string[]): Measure["work"] {
  return async (peer) => void await peer.virsh(...command(peer.directory));
}

/** Done by a client that does nothing with the data: virsh may be slower than the daemon. */
function raw(work: (client: StreamClient, peer: StoragePeer) => void): Measure["work"] {
  return (peer) => {
    using client = new StreamClient(peer.outside(SOCKETS[peer.server]));
    work(client, peer);
    return Promise.resolve();
  };
}

const volumeOf = ({ directory }: StoragePeer) => ({ pool: "p", name: "v", key: `${directory}/pool/v` });

const MEASURES: readonly Measure[] = [
  {
    title: `refresh of ${VOLUMES} raw volumes (virsh)`,
    least: 2,
    work: virsh(() => ["pool-refresh", "many"]),
    ...times,
  },
  {
    title: `refresh of ${VOLUMES} overlays (virsh)`,
    least: 2,
    work: virsh(() => ["pool-refresh", "overlays"]),
    ...times,
  },
  {
    title: "upload of 1 GiB (virsh)",
    least: 1,
    work: virsh((directory) => ["vol-upload", "v", `${directory}/data`, "--pool", "p"]),
    ...rates,
  },
  {
    title: "upload of 1 GiB (raw client)",
    least: 1,
    work: raw((client, peer) => client.upload(volumeOf(peer), SIZE)),
    ...rates,
  },
  {
    title: "download of 1 GiB (virsh)",
    least: 3,
    work: virsh(() => ["vol-download", "v", "/dev/null", "--pool", "p"]),
    ...rates,
  },
  {
    title: "download of 1 GiB (raw client)",
    least: 3,
    work: raw((client, peer) => {
      const bytes = client.download(volumeOf(peer));
      if (bytes !== SIZE) throw new Error(`Download: ${bytes} bytes came, not ${SIZE}`);
    }),
    ...rates,
  },
];

/** The storage daemon beside libvirt's, each on a private host, in turn. Root only. */
export const storageRow: Row = {
  name: "storage",
  summary: "refresh, upload, download, memory and idle CPU of the storage daemon beside libvirtd",
  async run(bench) {
    await using ours = await ready("ours");
    await using theirs = await ready("libvirt");
    const lines: Line[] = [];
    for (const measure of MEASURES) {
      const samples: Record<StorageServer, Sample[]> = { ours: [], libvirt: [] };
      for (let time = 0; time < bench.effort.rounds * TIMES; time++) {
        for (const peer of [ours, theirs]) samples[peer.server].push(await sample(peer, measure));
      }
      const { title, unit, better, least } = measure;
      lines.push({
        row: "storage",
        title,
        unit,
        better,
        ours: figure(samples.ours),
        theirs: figure(samples.libvirt),
        goal: { kind: "ratio", least },
      });
    }
    return [...lines, memoryLine(ours, theirs), await idleLine(ours, theirs)];
  },
};

/** A host that serves, with its pools. */
async function ready(server: StorageServer): Promise<StoragePeer> {
  const peer = await StoragePeer.start(server);
  await runOk(peer, ["sh", "-ec", SET_UP, "sh", peer.directory], { deadline: 120_000 });
  return peer;
}

function pidOf(peer: StoragePeer): number {
  return Number(Deno.readTextFileSync(peer.outside(PID_FILES[peer.server])));
}

/** The daemon, and the processes that work for it. */
function processes(peer: StoragePeer): number[] {
  const pid = pidOf(peer);
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...children === "" ? [] : children.split(" ").map(Number)];
}

/** CPU time that they have used, in ms. */
function processorTime(peer: StoragePeer): number {
  return processes(peer).reduce((sum, pid) => sum + processorMs(pid), 0);
}

/** What one time took. */
interface Sample {
  readonly value: number;
  /** CPU time of daemon and helpers, in ms. */
  readonly cpu: number;
}

async function sample(peer: StoragePeer, { work, value }: Measure): Promise<Sample> {
  const before = processorTime(peer);
  const begun = performance.now();
  await work(peer);
  const ended = performance.now();
  return { value: value(ended - begun), cpu: processorTime(peer) - before };
}

function figure(samples: readonly Sample[]): Figure {
  const values = samples.map(({ value }) => value);
  const cpu = median(samples.map((each) => each.cpu));
  return {
    value: median(values),
    note: `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}, ${cpu} ms of CPU`,
  };
}

function memoryLine(ours: StoragePeer, theirs: StoragePeer): Line {
  const memory = (peer: StoragePeer): Figure => {
    const { resident, own } = processMemory(pidOf(peer));
    return { value: resident, note: `${own.toFixed(1)} MB of it not backed by a file` };
  };
  return {
    row: "storage",
    title: `memory with ${2 * VOLUMES} volumes`,
    unit: "MB",
    better: "less",
    ours: memory(ours),
    theirs: memory(theirs),
    goal: { kind: "ratio", least: 1 },
  };
}

async function idleLine(ours: StoragePeer, theirs: StoragePeer): Promise<Line> {
  await setTimeout(SETTLE);
  const [one, other] = await Promise.all([watch(ours), watch(theirs)]);
  return {
    row: "storage",
    title: "idle, daemon and helpers",
    unit: "ms CPU / s",
    better: "less",
    ours: one,
    theirs: other,
    goal: { kind: "most", value: 0 },
  };
}

async function watch(peer: StoragePeer): Promise<Figure> {
  const usage = () => processes(peer).map(processUsage);
  const sum = (all: ReturnType<typeof usage>, of: "cpu" | "switches") =>
    all.reduce((total, each) => total + each[of], 0);
  const before = usage();
  await setTimeout(WATCH);
  const after = usage();
  return {
    value: (sum(after, "cpu") - sum(before, "cpu")) / (WATCH / 1000),
    note: `${sum(after, "switches") - sum(before, "switches")} context switches in ${WATCH / 1000} s`,
  };
}
