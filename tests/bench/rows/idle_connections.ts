import type { Row } from "../row.ts";

/** No-op calls of one client while others are connected and silent. */
function idleConnectionsRow(name: string, connections: number, least: number): Row {
  return {
    name,
    summary: `1 client, no-op call, ${connections} idle connections`,
    run: (bench) =>
      bench.withBoth(async (daemons) => {
        const idle = bench.scaled(connections);
        const held = [
          await bench.hold(daemons.ours, idle, 0),
          await bench.hold(daemons.theirs, idle, 0),
        ];
        const figures = await bench.compare(daemons, "noop", 1);
        for (const holder of held) await holder.release();
        return [{
          row: name,
          title: `1 client, no-op call, ${idle} idle connections`,
          unit: "per s",
          better: "more",
          ...figures,
          goal: { kind: "ratio", least },
        }];
      }),
  };
}

/** What connected guests cost those who ask for something. */
export const idleConnectionsRows: readonly Row[] = [
  idleConnectionsRow("idle-1000", 1000, 8),
  idleConnectionsRow("idle-4000", 4000, 30),
];
