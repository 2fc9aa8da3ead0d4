import assert from "node:assert/strict";
import { socketRights } from "../../../../src/storaged/daemon/socket_rights.ts";
import { type Settings, STORAGE_SETTINGS } from "../../../../src/storaged/identity/settings.ts";

/** Modes and methods, read-write first, and how many warnings there are. */
function decided(set: Partial<Settings>, privileged: boolean, polkit: boolean): unknown[] {
  const rights = socketRights({ ...STORAGE_SETTINGS.defaults, ...set }, privileged, polkit);
  return [
    rights.readWrite.mode.toString(8),
    rights.method(false),
    rights.readOnly.mode.toString(8),
    rights.method(true),
    rights.warnings.length,
  ];
}

Deno.test("with polkit everybody may connect, and polkit is asked", () => {
  assert.deepEqual(decided({}, true, true), ["777", "polkit", "777", "polkit", 0]);
  assert.deepEqual(decided({ permissions: 0o770 }, true, true), ["770", "polkit", "777", "polkit", 0]);
});

Deno.test("where polkit cannot be asked the sockets are for root, whatever their permissions are to be", () => {
  assert.deepEqual(decided({}, true, false), ["700", "polkit", "700", "polkit", 1]);
  const set = { permissions: 0o777, readOnlyPermissions: 0o777 };
  assert.deepEqual(decided(set, true, false), ["700", "polkit", "700", "polkit", 1]);
});

Deno.test("without authentication only root may change, unless the configuration says so, which is warned of", () => {
  const none = { auth: "none", authReadOnly: "none" } as const;
  assert.deepEqual(decided(none, true, false), ["700", "none", "777", "none", 0]);
  assert.deepEqual(decided({ ...none, permissions: 0o770 }, true, true), ["770", "none", "777", "none", 0]);
  assert.deepEqual(decided({ ...none, permissions: 0o777 }, true, true), ["777", "none", "777", "none", 1]);
});

Deno.test("a session's sockets are for its user", () => {
  assert.deepEqual(decided({}, false, true), ["700", "none", "700", "none", 0]);
});

Deno.test("the group is that of the sockets for clients, never of the admin socket", () => {
  const rights = socketRights({ ...STORAGE_SETTINGS.defaults, socketGroup: "libvirt" }, true, true);
  assert.deepEqual([rights.readWrite.group, rights.readOnly.group], ["libvirt", "libvirt"]);
  assert.deepEqual(rights.admin, { mode: 0o700, group: undefined });
});
