import { ConfigError } from "../../chassis/config/config_error.ts";
import { RUNSTATEDIR, SYSCONFDIR } from "../../chassis/config/build_config.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { getLog } from "../../chassis/log/log.ts";
import type { StartContext } from "../../chassis/start/start.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { storageSys } from "../../os/storage_sys.ts";
import type { Settings } from "../identity/settings.ts";
import { hostTag } from "../pools/host_tag.ts";
import type { PoolDirectories } from "../pools/pool_files.ts";
import { storageCore } from "../pools/storage_core.ts";
import type { MakeService } from "./storage_daemon.ts";

/**
 * So many times as long as a question a pool's start may take, which mounts and reads every volume; and so
 * long may a job or a stream stand still: a file server takes a while to come up again.
 */
const START_FACTOR = 10;

/** What the storage core is made of here. */
export interface StorageParts {
  readonly context: StartContext;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  /** The settings as they are now. */
  readonly settings: () => Settings;
}

/** How this daemon's storage core is made. @throws StartError when a session's directories cannot be told */
export function makeStorage({ context, loop, ledger, settings }: StorageParts): MakeService {
  const { sys } = context;
  const directories = poolDirectories(context);
  return (workers, observer) =>
    storageCore({
      sys,
      loop,
      ledger,
      workers,
      observer,
      directories,
      storage: storageSys(),
      log: getLog("storage.pools", "src/storaged/pools/storage_core.ts"),
      settings: () => {
        const { storageTimeout, stopOnFailedRefresh } = settings();
        return {
          answerLimit: storageTimeout * 1000,
          startLimit: storageTimeout * 1000 * START_FACTOR,
          failedRefresh: stopOnFailedRefresh ? "stop" : "keep",
        };
      },
      host: hostTag(sys),
      now: () => Date.now(),
    });
}

/** Where libvirt's daemon has the files of pools. */
function poolDirectories({ uid, env, paths }: StartContext): PoolDirectories {
  if (uid === 0) {
    const config = `${SYSCONFDIR}/libvirt/storage`;
    return { config, autostart: `${config}/autostart`, state: `${RUNSTATEDIR}/libvirt/storage` };
  }
  const home = env["XDG_CONFIG_HOME"] || (env["HOME"] === undefined ? undefined : `${env["HOME"]}/.config`);
  if (home === undefined) {
    const { message } = new ConfigError("HOME", "an absolute path, or one in XDG_CONFIG_HOME", "nothing");
    throw new StartError(ExitCode.USAGE, message);
  }
  const config = `${home}/libvirt/storage`;
  return { config, autostart: `${config}/autostart`, state: `${paths.runDir}/storage/run` };
}
