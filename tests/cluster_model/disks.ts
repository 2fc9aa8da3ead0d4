import { type Guest, Violation } from "./guest.ts";

/** What guests write to the disks, by which it is judged whether the locks were right. */
export class Disks {
  /** Who wrote last to each disk: who goes on after a pause must find it as it was. */
  readonly #writer = new Map<string, number>();

  /** A guest writes to its disk from now on. @throws Violation when it goes on over what another one wrote */
  writes({ pid, host, disk }: Guest, resumed: boolean): void {
    const last = this.#writer.get(disk);
    if (resumed && last !== pid) {
      throw new Violation(
        `guest ${pid} of host ${host} goes on over what guest ${last} has written to ${disk}`,
      );
    }
    this.#writer.set(disk, pid);
  }

  /** @throws Violation when a disk is written by two guests, unless all of them share it */
  check(guests: readonly Guest[]): void {
    const writing = guests.filter(({ state, cut }) => state === "running" && !cut);
    for (const guest of writing) {
      const other = writing.find((each) =>
        each !== guest && each.disk === guest.disk && !(each.shared && guest.shared)
      );
      if (other !== undefined) {
        throw new Violation(
          `guests ${guest.pid} and ${other.pid} of hosts ${guest.host} and ${other.host} have ${guest.disk}`,
        );
      }
    }
  }
}
