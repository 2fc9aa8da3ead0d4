// The program with the journal's socket elsewhere: at $JOURNAL_SOCKET, whether the host that runs the test
// has a journal or not.
import { main } from "../../src/lockd/cli/main.ts";
import { LOG_PATHS } from "../../src/chassis/log/open_outputs.ts";
import { linuxSys } from "../../src/os/linux.ts";

const socket = Deno.env.get("JOURNAL_SOCKET");
if (socket === undefined) throw new Error("Start with another journal: JOURNAL_SOCKET names no path");

const placed = (path: string): string => path === LOG_PATHS.journald ? socket : path;
const real = linuxSys();
main({
  ...real,
  access: (path, mode) => real.access(placed(path), mode),
  connect: (fd, path) => real.connect(fd, placed(path)),
});
