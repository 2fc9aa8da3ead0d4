import { Guest } from "./guest.ts";
import type { LivesParts } from "./lives.ts";
import type { NemesisHost } from "./nemesis_host.ts";

/** Longer than anybody waits for an answer, in ms. */
const FORGOTTEN_MS = 6000;

/**
 * A guest asks for a lock, which comes to etcd when nobody waits for it any more, and nobody asks behind it:
 * then nothing makes good what a daemon has left there.
 */
export async function forgottenChange(
  { history, number }: Pick<LivesParts, "history" | "number">,
  host: NemesisHost,
  disk: number,
): Promise<void> {
  const plan = {
    number: number(),
    domain: 0,
    disks: [disk],
    mode: "alone",
    writes: "plain",
    slow: false,
  } as const;
  await using guest = await Guest.start(host, plan);
  history.add("forgotten", { guest: guest.name, disk });
  host.holdUp({ change: "acquire", way: "there", ms: FORGOTTEN_MS });
  // By then it has come there.
  const come = new Promise((resolve) => setTimeout(resolve, FORGOTTEN_MS));
  const acquired = await guest.acquire(disk);
  history.add(acquired.kind, { ...acquired, guest: guest.name, disk });
  await guest.kill();
  await come;
}
