import type { StorageSys } from "../../os/storage_sys.ts";

// While a volume is uploaded its file has a mark. Whatever ends the upload early, a crash too, leaves the
// mark: what is half new and half old is not taken for a whole volume. Where files cannot have such a mark
// there is none.

const MARK = "user.virtstoraged.upload";

/** An upload to an open file begins. */
export function markUpload(storage: StorageSys, fd: number): void {
  storage.setExtendedAttribute(fd, MARK);
}

/** Everything in it is as it should be again. */
export function unmarkUpload(storage: StorageSys, fd: number): void {
  storage.removeExtendedAttribute(fd, MARK);
}

/** Whether an upload to an open file did not come to its end. */
export function isMarked(storage: StorageSys, fd: number): boolean {
  return storage.extendedAttributeSize(fd, MARK) >= 0;
}
