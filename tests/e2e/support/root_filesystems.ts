// Makes the root file systems of the releases that are tested, before the tests that boot them: CI does so
// while it has nothing else to do on the second processor.
import { releasesToTest } from "./releases.ts";
import { rootFilesystem } from "./root_filesystem.ts";

for (const release of releasesToTest()) console.log(await rootFilesystem(release));
