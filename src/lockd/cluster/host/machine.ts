import { sha256 } from "@noble/hashes/sha2";
import { readSmallFile } from "../../../os/read_file.ts";
import { encodeText } from "../../../os/text.ts";
import { wrongWithUuid } from "./board_uuid.ts";
import { type KindSys, type MachineKind, machineKind } from "./machine_kind.ts";
import type { MachineMark } from "../keys/session_record.ts";

/** What a machine tells of itself. */
export interface Machine {
  readonly kind: MachineKind;
  /** Why nothing tells it from all others; else its mark. */
  readonly mark: MachineMark | { readonly missing: string };
}

const DMI = "/sys/class/dmi/id";
const MACHINE_ID = "/etc/machine-id";
/** As machine-id(5) has it, but for such as are made of one digit. */
const ID = /^(?!(.)\1*$)[0-9a-f]{32}$/;

/**
 * This machine, as its kernel tells of it. The firmware's uuid alone is not enough: management systems give a
 * server's uuid to another board when they move its profile. So the serial number of the board counts too,
 * which no such profile has.
 */
export function machineOf(sys: KindSys): Machine {
  const kind = machineKind(sys);
  // It has the firmware's tables of its host, and so have those beside it.
  if (kind.kind === "container") return { kind, mark: { missing: "it is a container" } };
  const read = (path: string) => readSmallFile(sys, path)?.trim();
  const uuid = read(`${DMI}/product_uuid`)?.toLowerCase();
  if (uuid === undefined) return { kind, mark: { missing: `there is no ${DMI}/product_uuid to read` } };
  const wrong = wrongWithUuid(uuid);
  if (wrong !== undefined) return { kind, mark: { missing: wrong } };
  const id = read(MACHINE_ID);
  if (id === undefined || !ID.test(id)) {
    return { kind, mark: { missing: `${MACHINE_ID} has no id` } };
  }
  const serials = ["product_serial", "board_serial"].map((name) => read(`${DMI}/${name}`) ?? "");
  return { kind, mark: { board: digest(uuid), whole: digest([uuid, ...serials, id].join("\n")) } };
}

/** Whoever reads etcd gets no secret of a machine: software takes its uuid for one. */
function digest(text: string): string {
  return sha256(encodeText(`machine of a cluster ${text}`)).toHex().slice(0, 32);
}
