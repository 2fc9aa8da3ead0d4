import assert from "node:assert/strict";
import { F_WRLCK, O_CLOEXEC, O_CREAT, O_RDWR } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { crossTo } from "../../src/lockd/lockspace/lock_bridge.ts";
import { BusyProber } from "./busy_prober.ts";
import { kernel } from "./kernel.ts";

/** What was seen of the bridge beside two busy probers. */
export interface Traffic {
  readonly roundTrips: number;
  readonly tries: number;
  /**
   * How often a prober got the lock: each time is a moment in which another guest could have had the disk.
   */
  readonly grants: number;
}

/**
 * Turns an exclusive lock of this process into one of a description and back, until each of two other
 * processes has asked for it so often meanwhile. What they asked before the first crossing is not counted:
 * one of them may ask very often while the other one starts.
 *
 * @param path of a file that is made; closing it ends the lock
 * @param elsewhere another path to it, by which the second process asks
 * @throws AssertionError when a crossing does not come to its end
 */
export async function bridgeTraffic(path: string, tries: number, elsewhere = path): Promise<Traffic> {
  const fd = must(kernel.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600), "open", path);
  try {
    must(kernel.posixLock(fd, F_WRLCK, 0, 1), "lock", path);
    await using first = await BusyProber.start(path, "ofd");
    await using second = await BusyProber.start(elsewhere, "posix");
    const before = [first.tries, second.tries] as const;
    const meanwhile = () => [first.tries - before[0], second.tries - before[1]] as const;
    let roundTrips = 0;
    while (roundTrips === 0 || Math.min(...meanwhile()) < tries) {
      assert.deepEqual(crossTo(kernel, fd, false, "ofd"), { lock: "ofd", weakened: false });
      assert.deepEqual(crossTo(kernel, fd, false, "posix"), { lock: "posix", weakened: false });
      roundTrips++;
    }
    const [tried, triedElsewhere] = meanwhile();
    return { roundTrips, tries: tried + triedElsewhere, grants: first.grants + second.grants };
  } finally {
    kernel.close(fd);
  }
}
