import assert from "node:assert/strict";
import {
  isInitialNamespace,
  isOwnProc,
  namespaceOf,
  pidsFile,
  pidsOf,
} from "../../../src/os/pid_namespace.ts";
import { EACCES, EMFILE, ENOENT } from "../../../src/os/errno.ts";

/** A /proc with these links, and one text for whatever is opened. */
function proc(links: Readonly<Record<string, string>>, text: string | number = "") {
  const opened: string[] = [];
  return {
    opened,
    readlink: (path: string) => links[path] ?? -ENOENT,
    open: (path: string) => {
      opened.push(path);
      return typeof text === "number" ? text : 9;
    },
    read: (_fd: number, into: Uint8Array) => new TextEncoder().encodeInto(String(text), into).written,
    close: () => 0,
    pid: () => 30,
  };
}

Deno.test("isInitialNamespace() knows the namespace that sees all others by its number", () => {
  assert.equal(isInitialNamespace(proc({ "/proc/self/ns/pid": "pid:[4026531836]" })), true);
  assert.equal(isInitialNamespace(proc({ "/proc/self/ns/pid": "pid:[4026532490]" })), false);
  assert.equal(isInitialNamespace(proc({})), false);
});

Deno.test("namespaceOf() is the number of a process's namespace, where it may be seen", () => {
  const sys = proc({ "/proc/7/ns/pid": "pid:[4026532490]", "/proc/8/ns/pid": "mnt:[1]" });
  assert.deepEqual([7, 8, 9].map((pid) => namespaceOf(sys, pid)), ["4026532490", undefined, undefined]);
});

Deno.test("pidsOf() is what a process is called in each namespace, or why that is not known", () => {
  const sys = proc({}, "Name:\tqemu\nTgid:\t57\nNSpid:\t57\t3\nNSsid:\t1\n");
  assert.deepEqual([pidsOf(sys, 57), sys.opened], [[57, 3], ["/proc/57/status"]]);
  assert.deepEqual(pidsOf(proc({}, "NSpid:\t57\n"), 57), [57]);
  // A kernel that was built without namespaces.
  assert.equal(pidsOf(proc({}, "Name:\tqemu\nTgid:\t57\n"), 57), undefined);
  assert.deepEqual([pidsOf(proc({}, -EMFILE), 57), pidsOf(proc({}, -EACCES), 57)], [-EMFILE, -EACCES]);
  assert.equal(pidsFile(57), "/proc/57/status");
});

Deno.test("isOwnProc() tells a /proc of another namespace by the link to oneself", () => {
  assert.equal(isOwnProc(proc({ "/proc/self": "30" })), true);
  assert.equal(isOwnProc(proc({ "/proc/self": "31" })), false);
  assert.equal(isOwnProc(proc({})), -ENOENT);
});
