// The lock daemon's program on a host whose kernel tells of block devices what a directory of its place says.
import { main } from "../../src/lockd/cli/main.ts";
import { linuxSys } from "../../src/os/linux.ts";
import type { Sys } from "../../src/os/sys.ts";

const SYSFS = "/sys/dev/block/";
const told = `${Deno.env.get("HOME")}/sysfs/`;
const sys = linuxSys();
const named: Sys = {
  ...sys,
  open: (path, flags, mode) =>
    sys.open(path.startsWith(SYSFS) ? `${told}${path.slice(SYSFS.length)}` : path, flags, mode),
};

await main(named);
