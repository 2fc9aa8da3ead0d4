// A storage pool as its XML describes it. Plain values, which also travel to helper processes.

/** Owner, mode and label; what is undefined is left as it comes. */
export interface Permissions {
  readonly mode: number | undefined;
  readonly owner: number | undefined;
  readonly group: number | undefined;
  readonly label: string | undefined;
}

/** Nothing said. */
export const NO_PERMISSIONS: Permissions = {
  mode: undefined,
  owner: undefined,
  group: undefined,
  label: undefined,
};

/** How a secret is found. */
export interface SecretReference {
  readonly type: string | undefined;
  readonly by: { readonly uuid: string } | { readonly usage: string };
}

/** Credentials for a server. */
export interface Authentication {
  /** "chap" or "ceph". */
  readonly type: string;
  readonly username: string;
  readonly secret: SecretReference;
}

/** PCI address of a SCSI host's parent. */
export interface PciAddress {
  readonly domain: number;
  readonly bus: number;
  readonly slot: number;
  readonly function: number;
}

/** The host bus adapter of a SCSI pool. */
export type Adapter =
  | { readonly kind: "scsi_host"; readonly name: string }
  | { readonly kind: "scsi_host"; readonly parent: PciAddress; readonly uniqueId: number }
  | {
    readonly kind: "fc_host";
    readonly parent: string | undefined;
    readonly parentWwnn: string | undefined;
    readonly parentWwpn: string | undefined;
    readonly parentFabricWwn: string | undefined;
    readonly managed: boolean | undefined;
    readonly wwnn: string;
    readonly wwpn: string;
  };

/** A device of a source. */
export interface SourceDevice {
  readonly path: string;
  readonly partSeparator: boolean | undefined;
}

/** Where a pool's storage comes from. */
export interface PoolSource {
  readonly hosts: readonly { readonly name: string; readonly port: number }[];
  readonly devices: readonly SourceDevice[];
  readonly dir: string | undefined;
  readonly adapter: Adapter | undefined;
  readonly name: string | undefined;
  readonly initiator: string | undefined;
  /** Undefined where the type has no formats. */
  readonly format: string | undefined;
  readonly authentication: Authentication | undefined;
  readonly protocol: string | undefined;
  readonly vendor: string | undefined;
  readonly product: string | undefined;
}

/** A source that says nothing. */
export const NO_SOURCE: PoolSource = {
  hosts: [],
  devices: [],
  dir: undefined,
  adapter: undefined,
  name: undefined,
  initiator: undefined,
  format: undefined,
  authentication: undefined,
  protocol: undefined,
  vendor: undefined,
  product: undefined,
};

/** What a type of pool takes in a namespace of its own. */
export type TypeOptions =
  | { readonly kind: "mount"; readonly options: readonly string[] }
  | { readonly kind: "rbd"; readonly options: readonly { readonly name: string; readonly value: string }[] };

/** A pool as defined. */
export interface PoolDefinition {
  /** One of the names in POOL_TYPES. */
  readonly type: string;
  readonly name: string;
  /** Lower case, with dashes. */
  readonly uuid: string;
  readonly copyOnWrite: boolean | undefined;
  readonly source: PoolSource;
  readonly target: { readonly path: string | undefined; readonly permissions: Permissions };
  /** `<refresh><volume allocation=.../>`: "default" or "capacity". */
  readonly refreshAllocation: string | undefined;
  readonly options: TypeOptions | undefined;
}

/** How full a pool is, in bytes. */
export interface PoolSizes {
  readonly capacity: bigint;
  readonly allocation: bigint;
  readonly available: bigint;
}

/** Of a pool that is not active, and in every file. */
export const NO_SIZES: PoolSizes = { capacity: 0n, allocation: 0n, available: 0n };
