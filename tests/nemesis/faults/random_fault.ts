import type { Random } from "../../support/random.ts";
import { fullDatabase, restoredDatabase } from "./database_faults.ts";
import type { Fault, Maker, Scene } from "./fault.ts";
import {
  executedDaemon,
  forgottenDaemon,
  killedDaemon,
  killedLink,
  restartedDaemon,
  stalledLink,
  steppedHostClock,
  stoppedDaemon,
  stoppedLink,
} from "./host_faults.ts";
import {
  hungLeader,
  killedMember,
  killedMembers,
  slowMember,
  stalledMember,
  steppedMemberClock,
  stoppedMember,
  stoppedMembers,
} from "./member_faults.ts";
import {
  forgottenHost,
  halfDeafHost,
  halfDeafMember,
  lonelyHost,
  lonelyMember,
  split,
} from "./network_faults.ts";

/** Faults, each as often as it is listed. */
const MAKERS: readonly Maker[] = [
  stoppedMember,
  stalledMember,
  stalledMember,
  killedMember,
  stoppedMembers,
  killedMembers,
  slowMember,
  hungLeader,
  steppedMemberClock,
  fullDatabase,
  restoredDatabase,
  killedLink,
  killedLink,
  stoppedLink,
  stalledLink,
  stalledLink,
  killedDaemon,
  killedDaemon,
  stoppedDaemon,
  forgottenDaemon,
  executedDaemon,
  restartedDaemon,
  steppedHostClock,
  lonelyHost,
  lonelyHost,
  forgottenHost,
  halfDeafHost,
  lonelyMember,
  halfDeafMember,
  split,
  split,
];

/** A fault by chance. */
export function randomFault(scene: Scene, random: Random): Fault {
  return random.pick(MAKERS)(scene, random);
}
