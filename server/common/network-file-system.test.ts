import { join } from "node:path";
import { expect, it } from "vitest";
import { networkFileSystemOf } from "./network-file-system.ts";

const isLinux = process.platform === "linux";

it.runIf(isLinux).each([
  [0x6969n, "NFS"],
  [0x0bd00bd0n, "Lustre"],
  [0xfe534d42n, "SMB 2"],
  // The same word, as a system whose words are signed reports it.
  [BigInt.asIntN(32, 0xfe534d42n), "SMB 2"],
  [BigInt.asUintN(64, BigInt.asIntN(32, 0xff534d42n)), "CIFS"],
  [0xef53n, undefined],
  [0x01021994n, undefined],
])("the type %i is %s", (type, name) => {
  expect(networkFileSystemOf("/data/run", () => type)).toBe(name);
});

it.runIf(isLinux)("a path that does not exist yet has its nearest folder's type", () => {
  const asked: string[] = [];
  const found = networkFileSystemOf("/scratch/me/runs/a", (path) => {
    asked.push(path);
    if (path !== "/scratch") throw new Error("ENOENT");
    return 0x47504653n;
  });
  expect(found).toBe("GPFS");
  expect(asked).toEqual(["/scratch/me/runs/a", "/scratch/me/runs", "/scratch/me", "/scratch"]);
});

it("a path of which nothing is known is taken for local", () => {
  const found = networkFileSystemOf("/a/b", () => {
    throw new Error("EIO");
  });
  expect(found).toBeUndefined();
});

it.runIf(isLinux)("the system itself tells of the kernel's own folders that they are local", () => {
  expect(networkFileSystemOf("/proc")).toBeUndefined();
  expect(networkFileSystemOf(join("/proc", "no-such-thing", "below"))).toBeUndefined();
});
