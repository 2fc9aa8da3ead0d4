import assert from "node:assert/strict";
import { linkService, type ServiceLink } from "../../../../src/lockd/life/service_link.ts";
import type { RestartState } from "../../../../src/lockd/restart/state.ts";
import { ECONNREFUSED } from "../../../../src/os/errno.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { KeptLog } from "../journal/kept_log.ts";
import { LifeStage } from "./life_stage.ts";

const SYSTEMD = "/run/systemd/notify";
const CGROUP = "0::/system.slice/virtlockd.service\n";

/** A start with an environment, of a service of systemd's that root runs. */
class Stage implements Disposable {
  readonly life = new LifeStage({ cgroup: CGROUP });
  readonly log = new KeptLog();
  readonly connected: string[] = [];
  /** How often systemctl was to be started, which is not there. */
  asked = 0;
  reachable = true;

  link(env: Readonly<Record<string, string>>, handed?: RestartState): ServiceLink {
    const { found } = this.life;
    const sys: Sys = {
      ...this.life.sys,
      uid: () => 0,
      access: () => 0,
      connect: (_, address) => {
        this.connected.push(address);
        return this.reachable ? 0 : -ECONNREFUSED;
      },
      spawn: () => {
        this.asked++;
        return -2;
      },
    };
    const self = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return linkService(sys, self, env, { ...found.beginning, handed }, found.prepared, this.log);
  }

  [Symbol.dispose](): void {
    this.life[Symbol.dispose]();
  }
}

Deno.test("linkService() finds no service manager where nothing tells of one", () => {
  using stage = new Stage();
  const { notify, notifyAddress, env, variables, doubt } = stage.link({ HOME: "/root" });
  assert.deepEqual([notify, notifyAddress, env, variables, doubt], [
    undefined,
    undefined,
    { HOME: "/root" },
    {},
    undefined,
  ]);
  assert.deepEqual([stage.connected, stage.log.lines, stage.asked], [[], [], 0]);
});

Deno.test("linkService() connects to the service manager that the environment names, and asks nothing else", () => {
  using stage = new Stage();
  const { notify, doubt } = stage.link({ NOTIFY_SOCKET: SYSTEMD, FDSTORE: "100" });
  assert.ok((notify?.fd ?? -1) >= 0);
  assert.deepEqual([doubt, stage.connected, stage.asked, stage.log.lines], [undefined, [SYSTEMD], 0, []]);
});

Deno.test("linkService() warns where the service manager cannot be reached, and goes on without it", () => {
  using stage = new Stage();
  stage.reachable = false;
  const { notify } = stage.link({ NOTIFY_SOCKET: SYSTEMD, FDSTORE: "100" });
  assert.equal(notify, undefined);
  assert.deepEqual(stage.log.lines, [
    "warning: connect NOTIFY_SOCKET /run/systemd/notify: Connection refused (ECONNREFUSED); the service manager is told " +
    "nothing, and keeps no locks over a crash",
  ]);
});

Deno.test("linkService() looks for systemd behind libvirt's daemon, which hands over no word of it", () => {
  using stage = new Stage();
  const server = { maxClients: 7, maxAnonymousClients: 7, nextClientId: 1, listeners: [], clients: [] };
  const handed = { pid: 1, servers: { virtlockd: server }, lockspaces: [], nextResourceId: 1 };
  const { notify, notifyAddress, env, doubt } = stage.link({}, handed);
  assert.deepEqual([notifyAddress, env, stage.asked], [SYSTEMD, { NOTIFY_SOCKET: SYSTEMD }, 1]);
  assert.ok((notify?.fd ?? -1) >= 0);
  assert.notEqual(doubt, undefined);
  assert.equal(stage.log.lines.length, 1);
  assert.match(
    stage.log.lines[0] ?? "",
    /^warning: Could not learn how many descriptors systemd keeps for this service: .*\. It is sent all of them, and the log says so if it does not keep them$/,
  );
});
