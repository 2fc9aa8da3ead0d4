import { storageError } from "../../src/storaged/model/storage_error.ts";
import type { Answer, StorageService } from "../../src/storaged/model/storage_service.ts";

/** Refuses a call that a test has not played. */
function unplayed(answer: Answer<never>): void {
  answer({ kind: "refused", failure: storageError("no-support", "this is not played") });
}

/**
 * A storage core of which a test plays what it needs.
 *
 * @param played takes the place of calls that are refused otherwise
 */
export function playedStorage(played: Partial<StorageService> = {}): StorageService {
  const last = (...args: readonly unknown[]) => unplayed(args.at(-1) as Answer<never>);
  return {
    open: (answer) => answer({ kind: "done", value: undefined }),
    poolNames: last,
    listPools: last,
    poolByName: last,
    poolByUuid: last,
    poolByVolume: last,
    poolByTargetPath: last,
    poolInfo: last,
    poolXml: last,
    poolIsActive: last,
    poolIsPersistent: last,
    poolAutostart: last,
    setPoolAutostart: last,
    definePool: last,
    undefinePool: last,
    createPool: last,
    startPool: last,
    buildPool: last,
    destroyPool: last,
    deletePool: last,
    refreshPool: last,
    findPoolSources: last,
    poolCapabilities: last,
    capabilities: last,
    volumeNames: last,
    listVolumes: last,
    volumeByName: last,
    volumeByKey: last,
    volumeByPath: last,
    volumeInfo: last,
    volumeXml: last,
    volumePath: last,
    createVolume: last,
    createVolumeFrom: last,
    deleteVolume: last,
    wipeVolume: last,
    resizeVolume: last,
    uploadVolume: last,
    downloadVolume: last,
    jobs: [],
    hungPools: [],
    cancelJob: () => false,
    callerGone: () => {},
    reload: () => {},
    close: () => {},
    ...played,
  };
}
