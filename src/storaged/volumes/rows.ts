import type { Permissions } from "../model/pool_definition.ts";
import {
  FEATURES,
  type Moment,
  type Timestamps,
  VOLUME_TYPES,
  type VolumeDefinition,
} from "../model/volume_definition.ts";

// Volumes on their way from a helper to the daemon, as a list of plain values each: a pool may have ten
// thousand of them, and the usual way costs as much as reading the files.

type Cell = string | number | null;

/** A volume's values in an order that only this file knows. */
export type VolumeRow = readonly (Cell | readonly Cell[])[];

/** Sizes of files are exact as numbers; what a header says may be any. */
function size(value: bigint): Cell {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}

function permissionCells({ mode, owner, group, label }: Permissions): readonly Cell[] {
  return [mode ?? null, owner ?? null, group ?? null, label ?? null];
}

function timeCells(times: Timestamps | undefined): readonly Cell[] {
  if (times === undefined) return [];
  const { access, modification, change, birth } = times;
  return [access, modification, change, ...birth === undefined ? [] : [birth]]
    .flatMap(({ seconds, nanoseconds }) => [seconds, nanoseconds]);
}

/** A volume that a refresh has found. What only a definition says is not in it. */
export function rowOf(volume: VolumeDefinition): VolumeRow {
  const { backing, features } = volume;
  return [
    volume.name,
    VOLUME_TYPES.indexOf(volume.type),
    size(volume.capacity),
    size(volume.allocation),
    size(volume.physical),
    volume.format ?? null,
    permissionCells(volume.permissions),
    timeCells(volume.timestamps),
    volume.encryption?.format ?? null,
    volume.compat ?? null,
    size(volume.clusterSize),
    features === undefined ? null : features.map((feature) => FEATURES.indexOf(feature)),
    backing === undefined
      ? null
      : [backing.path, backing.format ?? null, ...permissionCells(backing.permissions)],
    backing === undefined ? [] : timeCells(backing.timestamps),
    volume.interrupted ? 1 : 0,
  ];
}

function permissionsFrom([mode, owner, group, label]: readonly Cell[]): Permissions {
  return {
    mode: numberOr(mode),
    owner: numberOr(owner),
    group: numberOr(group),
    label: textOr(label),
  };
}

function numberOr(cell: Cell | undefined): number | undefined {
  return typeof cell === "number" ? cell : undefined;
}

function textOr(cell: VolumeRow[number] | undefined): string | undefined {
  return typeof cell === "string" ? cell : undefined;
}

function timesFrom(cells: readonly Cell[]): Timestamps | undefined {
  if (cells.length === 0) return undefined;
  const moment = (at: number): Moment => ({ seconds: Number(cells[at]), nanoseconds: Number(cells[at + 1]) });
  return {
    access: moment(0),
    modification: moment(2),
    change: moment(4),
    birth: cells.length > 6 ? moment(6) : undefined,
  };
}

function cells(value: VolumeRow[number] | undefined): readonly Cell[] {
  return Array.isArray(value) ? value : [];
}

function bytes(value: VolumeRow[number] | undefined): bigint {
  return BigInt(typeof value === "number" || typeof value === "string" ? value : 0);
}

/** The volume of a row, in a pool at this path. */
export function volumeOf(row: VolumeRow, directory: string): VolumeDefinition {
  const name = String(row[0]);
  const path = `${directory}/${name}`;
  const encryption = textOr(row[8]);
  const backing = row[12] === null ? undefined : cells(row[12]);
  const features = row[11] === null ? undefined : cells(row[11]);
  return {
    type: VOLUME_TYPES[Number(row[1])] ?? "file",
    name,
    key: path,
    path,
    extents: [],
    capacity: bytes(row[2]),
    allocation: bytes(row[3]),
    allocationSaid: true,
    physical: bytes(row[4]),
    format: textOr(row[5]),
    permissions: permissionsFrom(cells(row[6])),
    timestamps: timesFrom(cells(row[7])),
    encryption: encryption === undefined
      ? undefined
      : { format: encryption, engine: undefined, secrets: [], cipher: undefined },
    compat: textOr(row[9]),
    clusterSize: bytes(row[10]),
    features: features === undefined ? undefined : FEATURES.filter((_, index) => features.includes(index)),
    noCow: false,
    backing: backing === undefined ? undefined : {
      path: String(backing[0]),
      format: textOr(backing[1]),
      permissions: permissionsFrom(backing.slice(2)),
      timestamps: timesFrom(cells(row[13])),
    },
    interrupted: row[14] === 1,
  };
}
