import { ENODATA, ENOSYS, EOPNOTSUPP, EPERM } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import { succeeded } from "./errors.ts";

// While a volume is uploaded or wiped its file has a mark. Whatever ends that early, a crash too, leaves the
// mark: what is half new and half old is not taken for a whole volume. Where files cannot have such a mark
// there is none.

const MARK = "user.virtstoraged.upload";
/** The file system, or what is no regular file, has no such attributes. */
const WITHOUT_MARKS = [-EOPNOTSUPP, -ENOSYS, -EPERM];

/**
 * An upload to an open file begins, or its wiping.
 *
 * @throws RpcFailure when its file can have a mark, and did not get it
 */
export function markUpload(storage: StorageSys, fd: number, shown: string): void {
  const marked = storage.setExtendedAttribute(fd, MARK);
  if (!WITHOUT_MARKS.includes(marked)) succeeded(marked, `cannot mark '${shown}' as being changed`);
}

/** Everything in it is as it should be again. @throws RpcFailure when it keeps the mark */
export function unmarkUpload(storage: StorageSys, fd: number, shown: string): void {
  const removed = storage.removeExtendedAttribute(fd, MARK);
  if (removed === -ENODATA || WITHOUT_MARKS.includes(removed)) return;
  succeeded(removed, `cannot take the mark of a change from '${shown}'`);
}

/** Whether an upload to an open file did not come to its end. */
export function isMarked(storage: StorageSys, fd: number): boolean {
  return storage.extendedAttributeSize(fd, MARK) >= 0;
}
