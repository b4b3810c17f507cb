import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type AtomicFileSystem,
  FileDurabilityError,
  FileNotCommittedError,
  writeFileAtomically,
} from "./atomic-file.ts";

let folder = "";
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "lfp-atomic-"));
});
afterEach(() => fs.rm(folder, { recursive: true, force: true }));

test("writes text, bytes and chunks, and leaves nothing else behind", async () => {
  const path = join(folder, "file");
  await writeFileAtomically(path, "grüße");
  expect(await fs.readFile(path, "utf8")).toBe("grüße");
  await writeFileAtomically(path, Uint8Array.of(0, 255, 7));
  expect([...(await fs.readFile(path))]).toEqual([0, 255, 7]);
  await writeFileAtomically(path, [Buffer.from("a"), new Uint8Array(0), Buffer.from("bc")]);
  expect(await fs.readFile(path, "utf8")).toBe("abc");
  await writeFileAtomically(path, "");
  expect((await fs.stat(path)).size).toBe(0);
  expect(await fs.readdir(folder)).toEqual(["file"]);
});

test("a generator may reuse its buffer", async () => {
  const path = join(folder, "file");
  async function* chunks() {
    const buffer = Buffer.alloc(4);
    for (let i = 0; i < 100; i++) {
      buffer.fill(i);
      yield buffer;
    }
  }
  await writeFileAtomically(path, chunks());
  const bytes = await fs.readFile(path);
  expect(bytes.length).toBe(400);
  expect(bytes.every((byte, i) => byte === i >> 2)).toBe(true);
});

test("writes all when the system takes less than it was given", async () => {
  const path = join(folder, "file");
  const onlyThreeBytes = shim((name, run, args) =>
    name === "write" ? run(args[0], args[1], Math.min(3, Number(args[2]))) : run(...args),
  );
  await writeFileAtomically(path, "0123456789", onlyThreeBytes.files);
  expect(await fs.readFile(path, "utf8")).toBe("0123456789");
  expect(onlyThreeBytes.calls.filter((name) => name === "write")).toHaveLength(4);
});

test("flushes the file before the rename and the folder after it", async () => {
  const watched = shim((_name, run, args) => run(...args));
  await writeFileAtomically(join(folder, "file"), "x", watched.files);
  expect(watched.calls).toEqual(["stat", "open", "write", "sync", "close", "rename", "open", "sync", "close"]);
});

test.skipIf(process.platform === "win32")("keeps the permissions of the file that it replaces", async () => {
  const path = join(folder, "secret");
  await fs.writeFile(path, "old", { mode: 0o600 });
  await writeFileAtomically(path, "new");
  expect((await fs.stat(path)).mode & 0o777).toBe(0o600);
});

test.skipIf(process.platform === "win32")("replaces a link and leaves what it points to alone", async () => {
  await fs.writeFile(join(folder, "target"), "blob");
  await fs.symlink("target", join(folder, "link"));
  await writeFileAtomically(join(folder, "link"), "new");
  expect(await fs.readFile(join(folder, "target"), "utf8")).toBe("blob");
  expect(await fs.readFile(join(folder, "link"), "utf8")).toBe("new");
});

test("a reader that holds the old file open keeps reading it", async () => {
  const path = join(folder, "file");
  await fs.writeFile(path, "old contents");
  const reader = await fs.open(path);
  await writeFileAtomically(path, "new");
  expect(await reader.readFile("utf8")).toBe("old contents");
  await reader.close();
});

// R4 of the reliability promises: fail the n-th call, for every n, and look at what is left.
test.each(["ENOSPC", "EIO", "EACCES"])(
  "%s at any call leaves the old file or the new one, never a third thing",
  async (errno) => {
    const path = join(folder, "file");
    const everyCall = shim((_name, run, args) => run(...args));
    await fs.writeFile(path, "old");
    await writeFileAtomically(path, [Buffer.from("n"), Buffer.from("ew")], everyCall.files);

    let uncommitted = 0;
    for (let failing = 0; failing < everyCall.calls.length; failing++) {
      await fs.writeFile(path, "old");
      let n = 0;
      const { files } = shim(async (name, run, args) => {
        const fails = n++ === failing;
        // A close that fails still gives the descriptor back, as the kernel does.
        const result = fails && name !== "close" ? undefined : await run(...args);
        if (fails) throw Object.assign(new Error(`${errno}: ${name} failed`), { code: errno });
        return result;
      });
      const outcome = await writeFileAtomically(path, [Buffer.from("n"), Buffer.from("ew")], files).catch((e) => e);
      const left = await fs.readFile(path, "utf8");
      expect(await fs.readdir(folder)).toEqual(["file"]);
      if (outcome instanceof FileNotCommittedError) {
        uncommitted++;
        expect(left).toBe("old");
        expect(outcome.code).toBe("resource");
        expect(outcome.message).toContain(path);
        expect(outcome.message).toContain(errno);
      } else {
        expect(left).toBe("new");
        if (outcome !== undefined) expect(outcome).toBeInstanceOf(FileDurabilityError);
      }
    }
    // stat, open, two writes, sync, close, rename.
    expect(uncommitted).toBe(7);
  },
);

test("what the source of the chunks throws passes through, and the old file stays", async () => {
  const path = join(folder, "file");
  await fs.writeFile(path, "old");
  const failure = new Error("no more data");
  function* chunks() {
    yield Buffer.from("ne");
    throw failure;
  }
  await expect(writeFileAtomically(path, chunks())).rejects.toBe(failure);
  expect(await fs.readFile(path, "utf8")).toBe("old");
  expect(await fs.readdir(folder)).toEqual(["file"]);
});

test("a missing folder is named, and a folder is not overwritten", async () => {
  const missing = join(folder, "no", "file");
  const error = await writeFileAtomically(missing, "x").catch((e) => e);
  expect(error).toBeInstanceOf(FileNotCommittedError);
  expect(error).toMatchObject({ code: "not-found", path: missing });

  await fs.mkdir(join(folder, "sub"));
  await expect(writeFileAtomically(join(folder, "sub"), "x")).rejects.toBeInstanceOf(FileNotCommittedError);
  expect(await fs.readdir(folder)).toEqual(["sub"]);
});

test("names as long as the file system takes work, and so do many writers at once", async () => {
  const path = join(folder, "n".repeat(255));
  await Promise.all(Array.from({ length: 20 }, (_, i) => writeFileAtomically(path, `writer ${i}`.repeat(1000))));
  expect(await fs.readFile(path, "utf8")).toMatch(/^(writer \d+)\1{999}$/);
  expect(await fs.readdir(folder)).toHaveLength(1);
});

test("a folder that cannot be flushed on this file system is no failure", async () => {
  const path = join(folder, "file");
  let renamed = false;
  const { files } = shim((name, run, args) => {
    if (name === "rename") renamed = true;
    if (name === "sync" && renamed) throw Object.assign(new Error("EINVAL"), { code: "EINVAL" });
    return run(...args);
  });
  await writeFileAtomically(path, "new", files);
  expect(await fs.readFile(path, "utf8")).toBe("new");
});

type Call = (...args: unknown[]) => Promise<unknown>;

/** The real file system with every call, on paths and on handles, passing through `intercept`. */
function shim(intercept: (name: string, run: Call, args: unknown[]) => Promise<unknown> | unknown) {
  const calls: string[] = [];
  const wrap = <T extends object>(target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get(object, name) {
        const value = Reflect.get(object, name);
        if (typeof value !== "function") return value;
        const run: Call = async (...args) => {
          const result = await value.apply(object, args);
          return name === "open" ? wrap(result, ["write", "sync", "close"]) : result;
        };
        if (typeof name !== "string" || !names.includes(name)) return run;
        return async (...args: unknown[]) => {
          calls.push(name);
          return intercept(name, run, args);
        };
      },
    });
  const files: AtomicFileSystem = wrap({ open: fs.open, rename: fs.rename, stat: fs.stat, unlink: fs.unlink }, [
    "open",
    "rename",
    "stat",
  ]);
  return { files, calls };
}
