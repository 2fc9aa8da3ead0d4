import assert from "node:assert/strict";
import { Holder } from "../support/holder.ts";
import { safeParent } from "../support/safe_directory.ts";
import { DeadHost } from "./support/dead_host.ts";
import { installMissing } from "./support/debian_packages.ts";
import { ManagementBoard } from "./support/management_board.ts";

// The program that is shipped as an example, with a real fence agent and a management board that OpenIPMI
// simulates: it turns off a host whose daemon hangs while its guest runs.

await installMissing(["etcd-server", "etcd-client", "systemd", "fence-agents", "openipmi", "ipmitool"]);

const EXAMPLE = new URL("../../conf/virtlockd-fence", import.meta.url).pathname;
const AUTOCREATE = 2;
const PATIENCE = 120_000;

/** The example where it is to be put, with its settings. */
class Example implements Disposable {
  readonly #directory: string;
  readonly path: string;

  constructor() {
    const parent = safeParent();
    if (parent === undefined) throw new Error("There is no directory that nobody else may write");
    this.#directory = Deno.makeTempDirSync({ dir: parent, prefix: "virtlockd-fence-" });
    this.path = `${this.#directory}/virtlockd-fence`;
    Deno.copyFileSync(EXAMPLE, this.path);
    this.configure();
  }

  configure({ password = "secret", agent = "fence_ipmilan" } = {}): void {
    // The simulation does not say which cipher suites it has.
    const lines = [`agent=${agent}`, "username=fence", `password=${password}`, "lanplus=1", "cipher=3"];
    Deno.writeTextFileSync(`${this.path}.conf`, `${lines.join("\n")}\n`, { mode: 0o600 });
  }

  /** Runs it by hand. @returns the last line that it says, or "" when it succeeds */
  async run(data: string): Promise<string> {
    const command = new Deno.Command(this.path, { args: ["kvm7", "7"], env: { VIRTLOCKD_FENCE_DATA: data } });
    const { code, stderr } = await command.output();
    return code === 0 ? "" : new TextDecoder().decode(stderr).trimEnd().split("\n").at(-1) ?? "";
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

Deno.test("the example turns a host off with an agent, and its guest is gone when others get its lock", async () => {
  await using board = await ManagementBoard.start();
  using example = new Example();
  const data = `ip=127.0.0.1 ipport=${board.port}`;
  await using dead = await DeadHost.make({ end: "stopped", data });
  board.cuts([dead.a.daemon.pid, dead.guest.pid]);
  using attempt = await dead.attempt(example.path, { limitMs: PATIENCE });
  assert.deepEqual(await attempt.ended, { kind: "fenced", freed: 1 });
  await dead.a.daemon.wait();
  assert.equal(dead.guest.running, false);
  await using next = await Holder.start(dead.b.daemon);
  await next.acquire(dead.b.space, "disk", AUTOCREATE);
});

Deno.test("the example does not succeed where the host may be on", async () => {
  await using board = await ManagementBoard.start();
  using example = new Example();
  const data = `ip=127.0.0.1 ipport=${board.port}`;
  example.configure({ password: "wrong" });
  assert.equal(await example.run(data), "fence_ipmilan has not turned kvm7 off");
  example.configure({ agent: "fence_nothing" });
  assert.equal(await example.run(data), "fence_nothing is not installed: it is in the package fence-agents");
  example.configure();
  assert.match(await example.run(""), /^kvm7 says nothing of itself: set cluster_fence_data there/);
  assert.match(await example.run("ip=1;reboot"), /has 'ip=1;reboot', which is no address$/);
  assert.match(await example.run("action=status"), /and may have ip=, ipport= and plug= only$/);
  board.cuts([]);
});
