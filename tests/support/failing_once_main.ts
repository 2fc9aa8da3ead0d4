// The lock daemon's program, of which a start fails when a file says so: after it has begun to record, and
// before it has freed what guests had that are gone.
import { main } from "../../src/lockd/cli/main.ts";
import { HolderReaper } from "../../src/lockd/lockspace/holder_reaper.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { SystemError } from "../../src/os/system_error.ts";

const wish = `${Deno.env.get("HOME")}/fail-once`;
const free = HolderReaper.prototype.free;

HolderReaper.prototype.free = function (...args) {
  const wanted = linuxSys().unlink(wish) === 0;
  if (wanted) throw new SystemError("start", "this start was to fail", -5);
  free.apply(this, args);
};

await main();
