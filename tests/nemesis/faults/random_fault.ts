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

/**
 * Those that only hold up what is on its way to etcd, or the answer to it. Most others have daemons write
 * their sessions anew sooner or later, which makes good whatever came late before.
 */
const HOLDING_UP: readonly Maker[] = [stalledLink, stalledMember, hungLeader];

/** A fault by chance. @param holdingUp whether of those alone that hold something up */
export function randomFault(scene: Scene, random: Random, holdingUp: boolean): Fault {
  return random.pick(holdingUp ? HOLDING_UP : MAKERS)(scene, random);
}
