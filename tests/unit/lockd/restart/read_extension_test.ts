import assert from "node:assert/strict";
import type { JsonValue } from "../../../../src/lockd/restart/state.ts";
import { writeState } from "../../../../src/lockd/restart/write_state.ts";
import { edited, fullState, stateOf, testRefusals } from "./documents.ts";

const OWN = "denoVirtlockd";
const OWN_DOCUMENT: JsonValue = JSON.parse(new TextDecoder().decode(writeState(fullState())));
testRefusals(OWN_DOCUMENT, [
  [OWN, 5, `${OWN}: expected an object, got 5`],
  [`${OWN}.version`, 2, `${OWN}.version: expected a format version from 1 to 1, got 2`],
  [`${OWN}.version`, undefined, `${OWN}.version: expected a format version from 1 to 1, got nothing`],
  [`${OWN}.nextResourceId`, "1", `${OWN}.nextResourceId: expected a resource id, got "1"`],
  [`${OWN}.owners[1].pid`, 0.5, `${OWN}.owners[1].pid: expected a process id, got 0.5`],
  [`${OWN}.owners[1].uuid`, "", `${OWN}.owners[1].uuid: expected a uuid, got ""`],
  [`${OWN}.dying[0].pidfd`, -1, `${OWN}.dying[0].pidfd: expected a descriptor number, got -1`],
  [`${OWN}.dying[0].killed`, undefined, `${OWN}.dying[0].killed: expected true or false, got nothing`],
  [`${OWN}.parked[1]`, "x", `${OWN}.parked[1]: expected a descriptor number, got "x"`],
  [
    `${OWN}.parked[1]`,
    32,
    `${OWN}.parked[1]: expected a descriptor of its own, got 32, which is named before`,
  ],
  [
    `${OWN}.kept[0].fd`,
    30,
    `${OWN}.kept[0].fd: expected a descriptor of its own, got 30, which is named before`,
  ],
  [`${OWN}.fencing.cluster`, 5, `${OWN}.fencing.cluster: expected a cluster's name, got 5`],
  [
    `${OWN}.fencing.hosts[0].session`,
    null,
    `${OWN}.fencing.hosts[0].session: expected a session's id, got null`,
  ],
  [
    `${OWN}.fencing.hosts[0].asked`,
    0.5,
    `${OWN}.fencing.hosts[0].asked: expected monotonic milliseconds, got 0.5`,
  ],
  [`${OWN}.settings`, undefined, `${OWN}.settings: expected an object, got nothing`],
  [`${OWN}.settings.timeout`, -1, `${OWN}.settings.timeout: expected seconds, got -1`],
  [`${OWN}.cwd`, null, `${OWN}.cwd: expected a path, got null`],
  [`${OWN}.tries[0].value`, 5, `${OWN}.tries[0].value: expected a string, got 5`],
  [`${OWN}.statistics`, undefined, `${OWN}.statistics: expected a value, got nothing`],
]);

Deno.test("a document of a version that tells of no hosts to be fenced is read, and one of a version that tells more", () => {
  const { extension, ...state } = fullState();
  const { fencing: _, ...rest } = extension ?? {};
  assert.deepEqual(stateOf(edited(OWN_DOCUMENT, `${OWN}.fencing`, undefined)), { ...state, extension: rest });
  assert.deepEqual(stateOf(edited(OWN_DOCUMENT, `${OWN}.later`, { hosts: [null] })), fullState());
});
