import { readDefinedGuests } from "./defined_guests.ts";
import type { Domain } from "./domain.ts";
import type { Host } from "./host.ts";
import { readRunningGuests } from "./running_guests.ts";

/** The guests of a host, each once: of one that is defined and runs counts what it has now. */
export function readGuestsOnce(host: Host): Domain[] {
  const guests = new Map<string, Domain>();
  for (const guest of [...readDefinedGuests(host), ...readRunningGuests(host).guests]) {
    guests.set(guest.uuid, guest);
  }
  return [...guests.values()];
}
