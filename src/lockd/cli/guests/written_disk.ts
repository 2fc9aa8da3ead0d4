/** A disk that a guest may write, by how libvirt locks it. */
export type WrittenDisk =
  /** By its path, or by a name made of that. */
  | { readonly kind: "path"; readonly path: string }
  /** Not at all: libvirt asks for no lock on a disk of this kind. */
  | { readonly kind: "never locked"; readonly what: string }
  /** A volume of a storage pool that is not known here. */
  | { readonly kind: "unknown volume"; readonly what: string };
