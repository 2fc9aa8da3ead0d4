import assert from "node:assert/strict";
import type { SelfImage } from "../../../../src/chassis/start/self.ts";
import { toldImage } from "../../../../src/chassis/start/service_environment.ts";
import { FD_CLOEXEC } from "../../../../src/os/constants.ts";
import { EBADF } from "../../../../src/os/errno.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const PID = 4711;
const SYSTEMD = "NOTIFY_SOCKET=/run/systemd/notify";
const RIGHT = [SYSTEMD, `LISTEN_PID=${PID}`, "LISTEN_FDS=3", "LISTEN_FDNAMES=a.socket:b.socket:journal"];

/** A process with systemd above it, unless something else is said. */
interface Process {
  readonly env: readonly string[];
  /** What its descriptors from 3 on are. */
  readonly descriptors: readonly ("listening" | "other")[];
  readonly parent?: number;
  readonly cgroup?: string;
  readonly handover?: boolean;
  readonly systemd?: boolean;
}

/** What such a process takes for its environment, and the pauses that it has made. */
function told(
  {
    env,
    descriptors,
    parent = 1,
    cgroup = "0::/system.slice/virtlockd.service\n",
    handover = false,
    systemd = true,
  }: Process,
) {
  using scratch = new Scratch();
  const files: Record<string, string> = {
    "/proc/self/stat": scratch.write("stat", `${PID} (a ) S 1) S ${parent} 1 1`),
    "/proc/self/cgroup": scratch.write("cgroup", cgroup),
  };
  const pauses: number[] = [];
  const sys: Sys = {
    ...kernel,
    pid: () => PID,
    open: (path, flags, mode) => kernel.open(files[path] ?? "/absent", flags, mode),
    access: () => systemd ? 0 : -2,
    // The runtime's own descriptors follow.
    fcntl: (fd) => fd < 3 + descriptors.length ? 0 : fd < 20 ? FD_CLOEXEC : -EBADF,
    socketOption: (fd) => descriptors[fd - 3] === "listening" ? 1 : -88,
    socket: () => -1,
    unblockSignals: () => 0,
    pollReadable: (_, pause) => {
      pauses.push(pause);
      return 0;
    },
  };
  const image: SelfImage = { path: "/x", argv: ["/x"], base: ["/x"], env };
  const failed = { daemon: "virtlockd", counted: undefined, atStake: true };
  try {
    const { self, complaints } = toldImage(sys, image, handover, failed);
    return { env: self.env, complaints };
  } catch (error) {
    assert.ok(error instanceof Error);
    return { error: error.message, pauses };
  }
}

const THREE = ["listening", "listening", "other"] as const;
const REMOVE =
  "Remove LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES from /etc/default/virtlockd, /etc/sysconfig/virtlockd and the " +
  "drop-ins of virtlockd.service";

Deno.test("toldImage() leaves alone what systemd has said", () => {
  assert.deepEqual(told({ env: RIGHT, descriptors: THREE }), { env: RIGHT, complaints: [] });
  assert.deepEqual(told({ env: [SYSTEMD], descriptors: [] }), { env: [SYSTEMD], complaints: [] });
  // dash has left the file of the program open behind them.
  assert.deepEqual(told({ env: RIGHT, descriptors: [...THREE, "other"] }), { env: RIGHT, complaints: [] });
});

Deno.test("toldImage() tells systemd at its own socket whatever the service's environment file says", () => {
  for (const wrong of ["/run/other", ""]) {
    assert.deepEqual(
      told({ env: ["A=1", `NOTIFY_SOCKET=${wrong}`, ...RIGHT.slice(1)], descriptors: THREE }),
      {
        env: ["A=1", ...RIGHT.slice(1), SYSTEMD],
        complaints: [
          `NOTIFY_SOCKET is '${wrong}', where systemd would never hear that the daemon is ready; it is told at ` +
          "/run/systemd/notify. Remove NOTIFY_SOCKET from /etc/default/virtlockd, /etc/sysconfig/virtlockd and the " +
          "drop-ins of virtlockd.service",
        ],
      },
    );
  }
});

Deno.test("toldImage() finds descriptors whose number or owner is wrong in the environment by their names", () => {
  for (
    const wrong of [
      [`LISTEN_PID=${PID}`, "LISTEN_FDS=0"],
      ["LISTEN_PID=1", "LISTEN_FDS=3"],
      [
        `LISTEN_PID=${PID}`,
        "LISTEN_FDS=99",
      ],
      ["LISTEN_FDS=3"],
      [],
    ]
  ) {
    const names = "LISTEN_FDNAMES=a.socket:b.socket:journal";
    const said = [...wrong, names].join(", ");
    assert.deepEqual(told({ env: [SYSTEMD, ...wrong, names], descriptors: THREE }), {
      env: [SYSTEMD, names, `LISTEN_PID=${PID}`, "LISTEN_FDS=3"],
      complaints: [
        `The environment says ${said}, but systemd has handed over 3 descriptors, which are used. ${REMOVE}`,
      ],
    });
  }
});

Deno.test("toldImage() does without the names of sockets, which are known by their paths", () => {
  assert.deepEqual(
    told({ env: [SYSTEMD, "LISTEN_PID=1", "LISTEN_FDNAMES=x"], descriptors: ["listening", "listening"] }),
    {
      env: [SYSTEMD, `LISTEN_PID=${PID}`, "LISTEN_FDS=2", "LISTEN_FDNAMES="],
      complaints: [
        "The environment says LISTEN_PID=1, LISTEN_FDNAMES=x, but systemd has handed over 2 descriptors, which are " +
        `used. ${REMOVE}`,
      ],
    },
  );
});

Deno.test("toldImage() starts no daemon that could not tell which of its descriptors are locks", () => {
  const descriptors = [...THREE, "other", "other"] as const;
  for (const names of ["LISTEN_FDNAMES=a.socket:b.socket", "LISTEN_FDNAMES="]) {
    for (const count of [2, 5]) {
      const env = [SYSTEMD, `LISTEN_PID=${PID}`, `LISTEN_FDS=${count}`, names];
      assert.deepEqual(told({ env, descriptors }), {
        error:
          `The environment says LISTEN_PID=${PID}, LISTEN_FDS=${count}, ${names}, but systemd has handed over ` +
          `something else, and nobody knows what it is. systemd keeps it. ${REMOVE}`,
        pauses: [800],
      });
    }
  }
});

Deno.test("toldImage() does not fill the log with names", () => {
  const names = `LISTEN_FDNAMES=${"n:".repeat(100)}`;
  assert.deepEqual(told({ env: ["LISTEN_FDS=9", names], descriptors: [...THREE, "other", "other"] }), {
    error:
      `The environment says LISTEN_FDS=9, LISTEN_FDNAMES=${
        "n:".repeat(42)
      }n..., but systemd has handed over ` +
      `something else, and nobody knows what it is. systemd keeps it. ${REMOVE}`,
    pauses: [800],
  });
});

Deno.test("toldImage() believes the environment of a process that systemd has not started as this service", () => {
  const wrong = ["NOTIFY_SOCKET=/run/other", "LISTEN_PID=1", "LISTEN_FDS=3"];
  const elsewhere: readonly Partial<Process>[] = [
    { parent: 4000 },
    { cgroup: "0::/user.slice/session-1.scope\n" },
    { cgroup: "0::/system.slice/other.service\n" },
  ];
  for (const where of elsewhere) {
    assert.deepEqual(told({ env: wrong, descriptors: THREE, ...where }), { env: wrong, complaints: [] });
  }
  const [socket = ""] = wrong;
  assert.deepEqual(told({ env: [socket], descriptors: [], systemd: false }), {
    env: [socket],
    complaints: [],
  });
});

Deno.test("toldImage() takes no descriptor of an earlier image for systemd's", () => {
  assert.deepEqual(told({ env: [SYSTEMD], descriptors: THREE, handover: true }), {
    env: [SYSTEMD],
    complaints: [],
  });
});
