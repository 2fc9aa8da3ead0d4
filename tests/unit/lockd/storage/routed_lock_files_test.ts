import assert from "node:assert/strict";
import type { LockFiles } from "../../../../src/lockd/lockspace/lock_files.ts";
import { RoutedLockFiles } from "../../../../src/lockd/storage/routed_lock_files.ts";

const IDENTITY = { devMajor: 0, devMinor: 2, inodeLow: 7, inodeHigh: 0 };
const LOCK = { path: "", shared: false, autocreate: false, followLinks: true };
const UNLOCK = { path: "", fd: 9, lock: "ofd", shared: false, autocreate: false, force: false } as const;

/** File operations that only say that they were asked for. */
function named(name: string, calls: string[]): LockFiles {
  return {
    lock: ({ path }) => void calls.push(`${name} lock ${path}`),
    unlock: ({ path }) => void calls.push(`${name} unlock ${path}`),
    create: (path) => void calls.push(`${name} create ${path}`),
    remove: (path) => void calls.push(`${name} remove ${path}`),
    makeDirectory: (path) => void calls.push(`${name} makeDirectory ${path}`),
    checkDirectory: (path) => void calls.push(`${name} checkDirectory ${path}`),
  };
}

/** What is called for a path. */
function callsFor(path: string): string[] {
  const calls: string[] = [];
  const network = named("network", calls);
  const files = new RoutedLockFiles(named("local", calls), {
    ofLock: (path) => path.startsWith("/net") ? network : undefined,
    ofPath: (path) => path.startsWith("/net") ? network : undefined,
    ofFile: (path) => path.startsWith("/open") ? network : undefined,
  });
  files.lock({ ...LOCK, path }, () => {});
  files.unlock({ ...UNLOCK, path }, IDENTITY, () => {}, () => {});
  files.create(path, true, () => {});
  files.remove(path, () => {});
  files.makeDirectory(path, () => {});
  files.checkDirectory(path, () => {});
  return calls;
}

Deno.test("RoutedLockFiles does everything about a local path locally", () => {
  assert.deepEqual(callsFor("/a"), [
    "local lock /a",
    "local unlock /a",
    "local create /a",
    "local remove /a",
    "local makeDirectory /a",
    "local checkDirectory /a",
  ]);
});

Deno.test("RoutedLockFiles gives a path on the network to the network, but for a release", () => {
  assert.deepEqual(callsFor("/net/a"), [
    "network lock /net/a",
    "local unlock /net/a",
    "network create /net/a",
    "network remove /net/a",
    "network makeDirectory /net/a",
    "network checkDirectory /net/a",
  ]);
});

Deno.test("RoutedLockFiles releases where the open file is, wherever its path leads by now", () => {
  assert.deepEqual(callsFor("/open/a"), [
    "local lock /open/a",
    "network unlock /open/a",
    "local create /open/a",
    "local remove /open/a",
    "local makeDirectory /open/a",
    "local checkDirectory /open/a",
  ]);
});
