import assert from "node:assert/strict";
import { type Output, type Runner, runOk, type RunOptions } from "./support/command.ts";
import { guestXml } from "./support/guest.ts";
import { isLockable } from "./support/kernel_locks.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { until } from "../support/until.ts";

// A user's own libvirtd starts the daemon that it finds and leaves its end to the daemon.

const USER = "tester";
const UID = 1000;
const HOME = `/home/${USER}`;
const RUN_DIRECTORY = `/run/user/${UID}`;
const PID_FILE = `${RUN_DIRECTORY}/libvirt/virtlockd.pid`;
const GUEST_FILE = `${HOME}/alpha.xml`;
/** With which libvirt 9.0.0 starts it. */
const TIMEOUT_OPTION = "--timeout=120";

// libvirt 9.0.0 looks at the place where its own daemon is installed, never in PATH; the variable names
// another directory.
const WAYS: readonly { name: string; env: Record<string, string>; started: string }[] = [
  { name: "where libvirt installs its own", env: {}, started: "/usr/sbin/virtlockd" },
  {
    name: "through VIRTLOCKD_PATH",
    env: { VIRTLOCKD_PATH: `${HOME}/bin` },
    started: `${HOME}/bin/virtlockd`,
  },
];

Deno.test("A session's libvirtd starts the daemon, which stays while it holds a lock", async (t) => {
  await using machine = await Machine.boot();
  await install(machine, await debianPackage());
  const session = await Session.create(machine);

  for (const { name, env, started } of WAYS) {
    await t.step(`found ${name}`, async () => {
      await session.startLibvirtd(env);
      await session.virsh("start", "alpha");
      const daemon = await session.daemonPid();
      const command = (await runOk(session, ["cat", `/proc/${daemon}/cmdline`])).split("\0");
      assert.deepEqual(command.slice(command.indexOf(started)), [started, TIMEOUT_OPTION, ""]);
      assert.equal((await runOk(session, ["stat", "-c", "%U", `/proc/${daemon}`])).trim(), USER);
      assert.equal(await isLockable(session, session.disk), false);

      await runOk(session, ["virt-admin", "-c", "virtlockd:///session", "daemon-timeout", "--timeout", "1"]);
      await session.stopLibvirtd();
      const age = await session.daemonAge();
      await until("the timeout to be over", async () => await session.daemonAge() >= age + 3);
      assert.equal(await isLockable(session, session.disk), false);

      await session.startLibvirtd(env);
      // It waits for libvirtd to have found the guest again: until then a guest that is destroyed ends under
      // it, and it says that there was none.
      await session.virsh("qemu-monitor-command", "alpha", "--hmp", "info status");
      await session.virsh("destroy", "alpha");
      await until("the daemon's end", async () => !await session.daemonRuns());
      assert.equal(await isLockable(session, session.disk), true);
      await session.stopLibvirtd();
    });
  }
});

/** A user of a machine with a guest. */
class Session implements Runner {
  readonly disk = `${HOME}/alpha.qcow2`;
  readonly #machine: Machine;

  private constructor(machine: Machine) {
    this.#machine = machine;
  }

  static async create(machine: Machine): Promise<Session> {
    await machine.sh(`
      useradd --create-home --uid=${UID} ${USER}
      install -d -m 0700 -o ${USER} -g ${USER} ${RUN_DIRECTORY}
    `);
    const session = new Session(machine);
    await runOk(session, [
      "sh",
      "-ec",
      `mkdir -p ${HOME}/.config/libvirt ${HOME}/bin
       cp /usr/sbin/virtlockd ${HOME}/bin/
       printf '%s\\n' 'lock_manager = "lockd"' 'stdio_handler = "file"' >${HOME}/.config/libvirt/qemu.conf
       qemu-img create -q -f qcow2 ${session.disk} 1M
       cat >${GUEST_FILE}`,
    ], {
      input: guestXml({
        name: "alpha",
        uuid: "11111111-2222-3333-4444-555555555555",
        disks: [{ path: session.disk, format: "qcow2" }],
      }),
    });
    return session;
  }

  /** Runs a command as the user. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
    const variables = { HOME, XDG_RUNTIME_DIR: RUN_DIRECTORY, PATH: "/usr/bin:/bin", ...options.env };
    const environment = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
    const user = ["setpriv", `--reuid=${UID}`, `--regid=${UID}`, "--init-groups"];
    return this.#machine.run(["env", "-i", "-C", HOME, ...environment, ...user, ...argv], {
      ...options,
      env: {},
    });
  }

  virsh(...args: string[]): Promise<string> {
    return runOk(this, ["virsh", "-q", "-c", "qemu:///session", ...args]);
  }

  async startLibvirtd(env: Record<string, string>): Promise<void> {
    await runOk(this, ["/usr/sbin/libvirtd", "-d"], { env });
    await this.virsh("define", GUEST_FILE);
  }

  async stopLibvirtd(): Promise<void> {
    const pid = (await runOk(this, ["cat", `${RUN_DIRECTORY}/libvirt/libvirtd.pid`])).trim();
    await runOk(this, ["kill", pid]);
    await until("libvirtd's end", async () => (await this.run(["test", "-e", `/proc/${pid}`])).code !== 0);
  }

  async daemonPid(): Promise<number> {
    return Number(await runOk(this, ["cat", PID_FILE]));
  }

  async daemonRuns(): Promise<boolean> {
    return (await this.run(["test", "-e", PID_FILE])).code === 0;
  }

  /** Seconds for which the daemon has run; it is not asked. */
  async daemonAge(): Promise<number> {
    return Number(await runOk(this, ["ps", "-o", "etimes=", "-p", String(await this.daemonPid())]));
  }
}
