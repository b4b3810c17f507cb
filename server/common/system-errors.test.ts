import { expect, test } from "vitest";
import { knownError, StorageError } from "./system-errors.ts";

function refused(code: string): Error {
  return Object.assign(new Error(`${code}: refused, mkdir '/w/runs'`), { code, syscall: "mkdir" });
}

test.each([
  ["EPERM", "resource", "The folder is read-only here: make it writable, or use another."],
  ["EACCES", "resource", "The folder is read-only here: make it writable, or use another."],
  ["EROFS", "resource", "The folder is read-only here: make it writable, or use another."],
  ["ENOSPC", "resource", "The disk or quota is full: free some space and run it again."],
  ["ENOENT", "not-found", "Check the path and the disk."],
])("the system's %s is no defect of ours, and says what to do", (errno, code, advice) => {
  const error = knownError(refused(errno));
  expect(error).toBeInstanceOf(StorageError);
  expect(error?.code).toBe(code);
  expect(error?.message).toContain(advice);
});

test("what is no error of the system, of SQLite or ours is a defect", () => {
  expect(knownError(new TypeError("x is undefined"))).toBeUndefined();
});
