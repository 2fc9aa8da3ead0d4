import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { until } from "../../support/until.ts";
import { type ClusterSite, LOCK_DIRECTORY } from "./cluster_site.ts";
import { LockAsker, type Told } from "./lock_asker.ts";
import { type Place, PLACES } from "./site_names.ts";

const DISKS = [0, 1] as const;
interface SiteGuest {
  readonly place: Place;
  readonly disks: readonly string[];
}

/** Guests of two disks each, on the hosts of a site. */
export class WatchedGuests {
  readonly #site: ClusterSite;
  readonly #running = new Map<string, SiteGuest>();
  readonly #disks = new Map<string, readonly string[]>();
  readonly #uuids = new Map<string, string>();
  #refused = 0;

  constructor(site: ClusterSite) {
    this.#site = site;
  }

  /** How often somebody was refused a lock that one of them has. */
  get refused(): number {
    return this.#refused;
  }

  /** Starts one on a host, where it is defined if need be. */
  async start(name: string, place: Place): Promise<void> {
    await this.define(name, place);
    await this.#site.libvirt(place).virsh("start", name);
    this.#running.set(name, { place, disks: this.disks(name) });
  }

  /** Defines one on a host. */
  async define(name: string, place: Place): Promise<void> {
    const libvirt = this.#site.libvirt(place);
    if (!this.#disks.has(name)) {
      const made = DISKS.map((number) => libvirt.createDisk(`${name}-${number}.qcow2`));
      this.#disks.set(name, await Promise.all(made));
    }
    const disks = this.disks(name).map((path) => ({ path, format: "qcow2" } as const));
    const uuid = this.#uuids.get(name) ?? crypto.randomUUID();
    this.#uuids.set(name, uuid);
    await libvirt.define({ name, uuid, disks });
  }

  /** Paths of its disks. */
  disks(name: string): readonly string[] {
    return this.#disks.get(name) ?? [];
  }

  /** Names of its locks, as libvirt makes them. */
  locks(name: string): readonly string[] {
    return this.disks(name).map((path) => createHash("sha256").update(path).digest("hex"));
  }

  /** Ends one, and waits until its locks have gone. */
  async end(name: string): Promise<void> {
    const place = await this.destroy(name);
    // In a container a daemon may not see whether anybody writes to these disks, and says who does: a person.
    for (const lock of this.locks(name)) {
      const words = ["--force", "--guest", name, "--yes", `${LOCK_DIRECTORY}/${lock}`];
      const output = await this.#site.machine(place).run(["virtlockd", "release", ...words]);
      assert.ok(
        output.code === 0 || /There is no lock|meanwhile the lock was released/.test(output.stderr),
        output.stderr,
      );
    }
    await until(`the locks of ${name} to go`, async () => {
      return !(await this.#site.lockedDomains()).includes(name);
    }, 120_000);
  }

  /** Ends one. @returns where it was */
  async destroy(name: string): Promise<Place> {
    const guest = this.#running.get(name);
    assert.ok(guest !== undefined, `${name} does not run`);
    await this.#site.libvirt(guest.place).virsh("destroy", name);
    this.#running.delete(name);
    return guest.place;
  }

  /** Those of a host have ended with its power. */
  lost(place: Place): void {
    for (const [name, guest] of this.#running) if (guest.place === place) this.#running.delete(name);
  }

  /** etcd has the locks of those that run, and no others. */
  async haveTheirLocks(): Promise<void> {
    const expected = [...this.#running.keys()].flatMap((name) => [name, name]).sort();
    assert.deepEqual(await this.#site.lockedDomains(), expected);
  }

  /**
   * Does something, during which those that run now have to run on in the same process. On every host
   * somebody asks for the locks of those of the other hosts meanwhile, and must not get any.
   *
   * @param askers hosts on which somebody asks
   */
  async undisturbed(what: () => Promise<void>, askers: readonly Place[] = PLACES): Promise<void> {
    const before = await this.#processes();
    await using stack = new AsyncDisposableStack();
    const asking = await Promise.all(askers.map(async (place) => {
      const disks = [...this.#running.values()].flatMap((guest) => guest.place === place ? [] : guest.disks);
      return stack.use(await LockAsker.start(this.#site.machine(place), LOCK_DIRECTORY, disks));
    }));
    await what();
    for (const asker of asking) this.#judge(await asker.stop());
    for (const [name, pid] of before) {
      const { place } = this.#running.get(name) ?? {};
      if (place === undefined) continue;
      assert.equal(await this.#site.libvirt(place).guestPid(name), pid);
      assert.equal((await this.#site.libvirt(place).virsh("domstate", name)).trim(), "running");
    }
    await this.haveTheirLocks();
  }

  #judge({ granted, refused, otherwise }: Told): void {
    assert.deepEqual(granted, []);
    assert.ok(refused > 0, `nobody was refused: ${JSON.stringify(otherwise)}`);
    this.#refused += refused;
  }

  async #processes(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const [name, { place }] of this.#running) {
      found.set(name, await this.#site.libvirt(place).guestPid(name));
    }
    return found;
  }
}
