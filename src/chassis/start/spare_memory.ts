import type { DescriptorLedger } from "../../os/ledger.ts";
import type { MemorySys } from "../../os/sys.ts";
import type { EventLoop } from "../event/event_loop.ts";

/** So many descriptors more or fewer, as clients come and go, and there may be spare memory. */
const STEP = 512;
/** It is given back so many milliseconds later, for all that has changed by then: it takes up to 3 ms. */
const LATER_MS = 200;

/**
 * Gives memory that nobody uses any more back to the kernel when much has come or gone.
 *
 * V8 collects garbage more often while a daemon fills, and notes what it still has to look at in pieces of
 * 4 KiB that it takes from malloc and gives back when it is done. Between them lies what stays, so glibc
 * keeps all of it: 10 to 20 MB after 40,000 descriptors.
 */
export function returnSpareMemory(
  sys: Pick<MemorySys, "trimHeap">,
  loop: Pick<EventLoop, "after">,
  ledger: DescriptorLedger,
): void {
  let waiting = false;
  ledger.onChange(STEP, () => {
    if (waiting) return;
    waiting = true;
    loop.after(LATER_MS, () => {
      waiting = false;
      sys.trimHeap();
    });
  });
}
