import type { Permissions, SecretReference } from "./pool_definition.ts";

// A volume, as its XML describes one that is to be made, or as a refresh has found it.

/** Types of volumes; the index is libvirt's number. */
export const VOLUME_TYPES = ["file", "block", "dir", "network", "netdir", "ploop"] as const;
export type VolumeType = typeof VOLUME_TYPES[number];

/** Features of a qcow2 image, in libvirt's order. */
export const FEATURES = ["lazy_refcounts", "extended_l2", "data_file"] as const;
export type Feature = typeof FEATURES[number];

/** How a LUKS header is made. */
export interface Cipher {
  readonly name: string;
  readonly size: number;
  readonly mode: string | undefined;
  readonly hash: string | undefined;
  readonly ivgen: { readonly name: string; readonly hash: string | undefined } | undefined;
}

/** How a volume is encrypted. */
export interface Encryption {
  /** "default", "qcow", "luks", "luks2" or "luks-any". */
  readonly format: string;
  /** "qemu" or "librbd"; undefined when it is not said. */
  readonly engine: string | undefined;
  readonly secrets: readonly SecretReference[];
  readonly cipher: Cipher | undefined;
}

/** When a file was touched: seconds, and nanoseconds beside them. */
export interface Moment {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Of a file. A file system without birth times has no `birth`. */
export interface Timestamps {
  readonly access: Moment;
  readonly modification: Moment;
  readonly change: Moment;
  readonly birth: Moment | undefined;
}

/** What a volume stands on. */
export interface BackingStore {
  readonly path: string;
  /** Undefined where volumes of the pool have no formats. */
  readonly format: string | undefined;
  readonly permissions: Permissions;
  /** Undefined as long as nobody has looked. */
  readonly timestamps: Timestamps | undefined;
}

/** A piece of a device that a volume lies on, in bytes. */
export interface Extent {
  readonly path: string;
  readonly start: bigint;
  readonly end: bigint;
}

/** A volume. Sizes in bytes. */
export interface VolumeDefinition {
  readonly type: VolumeType;
  readonly name: string;
  /** Undefined as long as it is not made. */
  readonly key: string | undefined;
  readonly extents: readonly Extent[];
  readonly capacity: bigint;
  readonly allocation: bigint;
  /** Whether the allocation was said, or is the capacity for want of one. */
  readonly allocationSaid: boolean;
  /** Bytes up to the end of the file; 0 when not known. */
  readonly physical: bigint;
  readonly path: string | undefined;
  /** Undefined where volumes of the pool have no formats. */
  readonly format: string | undefined;
  readonly permissions: Permissions;
  readonly timestamps: Timestamps | undefined;
  readonly encryption: Encryption | undefined;
  readonly compat: string | undefined;
  readonly clusterSize: bigint;
  /** Undefined: none said; they may be empty. */
  readonly features: readonly Feature[] | undefined;
  readonly noCow: boolean;
  readonly backing: BackingStore | undefined;
  /** Whether an upload to it, or its wiping, did not come to its end: nobody wanted what is in it. */
  readonly interrupted: boolean;
}
