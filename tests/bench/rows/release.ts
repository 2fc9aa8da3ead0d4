import { ACQUIRE_AUTOCREATE, LockProcedure } from "../../../src/lockd/wire/lock_protocol.ts";
import { isFree } from "../../support/kernel.ts";
import { encodeRegister, encodeResource } from "../../support/lock_codec.ts";
import { testOwner } from "../../support/lock_client.ts";
import { RawClient } from "../../support/raw_client.ts";
import type { DaemonUnderTest } from "../daemon_under_test.ts";
import type { Figure } from "../line.ts";
import type { Row } from "../row.ts";

const RELEASES = 2000;
/** Before it is measured, so that a just-in-time compiler has done its work. */
const WARMUP = 500;

/** How long a lock is held after a living process has released it: until the reply, at the longest. */
export const releaseRow: Row = {
  name: "release-1",
  summary: "how soon a release by a living process frees a lock",
  async run(bench) {
    return await bench.withBoth((daemons) =>
      Promise.resolve([{
        row: "release-1",
        title: "1 client, release until free, 99th percentile",
        unit: "ms",
        better: "less",
        ours: releases(daemons.ours),
        theirs: releases(daemons.theirs),
        goal: { kind: "most", value: 5 },
      }])
    );
  },
};

function releases({ target }: DaemonUnderTest): Figure {
  using client = RawClient.connect(target.socket);
  const ask = (procedure: number, name: string, flags: number) => {
    const resource = { path: target.lockspace, name, flags };
    const refusal = client.request(procedure, (writer) => encodeResource(writer, resource));
    if (refusal !== undefined) throw refusal;
  };
  const owner = testOwner(Deno.pid);
  const refusal = client.request(
    LockProcedure.REGISTER,
    (writer) => encodeRegister(writer, { owner, flags: 0 }),
  );
  if (refusal !== undefined) throw refusal;
  const times: number[] = [];
  let late = 0;
  for (let turn = 0; turn < WARMUP + RELEASES; turn++) {
    ask(LockProcedure.ACQUIRE_RESOURCE, "released", ACQUIRE_AUTOCREATE);
    const begun = performance.now();
    ask(LockProcedure.RELEASE_RESOURCE, "released", 0);
    const time = performance.now() - begun;
    if (!isFree(`${target.lockspace}/released`)) late++;
    if (turn >= WARMUP) times.push(time);
  }
  times.sort((a, b) => a - b);
  const longest = `at most ${(times.at(-1) ?? NaN).toFixed(2)} ms`;
  return {
    value: times[Math.floor(times.length * 0.99)] ?? NaN,
    note: late === 0 ? longest : `${longest}; ${late} were still locked after the reply`,
  };
}
