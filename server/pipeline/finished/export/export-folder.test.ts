import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { scratchFolder } from "../../../../test/unit/runs/scratch.ts";
import { disk, type FileSystem } from "../../../runs/files.ts";
import { EXPORT_FILE, ExportFolderError, writeExportFolder } from "./export-folder.ts";

const about = { kind: "hub", run: "quick" } as const;
const filled = (text: string) => async (folder: string) => {
  await mkdir(join(folder, "deep"));
  await writeFile(join(folder, "deep", "a.txt"), text);
};
const read = async (folder: string): Promise<string> => await readFile(join(folder, "deep", "a.txt"), "utf8");

it("writes into a folder that is missing or empty, and leaves nothing beside it", async () => {
  const root = await scratchFolder();
  await mkdir(join(root, "empty"));
  for (const name of ["new/deeper", "empty"]) {
    const written = await writeExportFolder(join(root, name), about, filled("one"));
    expect(written).toEqual({ folder: join(root, name), files: 1, bytes: 3 });
    expect(await read(join(root, name))).toBe("one");
  }
  expect((await readdir(root)).sort()).toEqual(["empty", "new"]);
  expect(await readdir(join(root, "new"))).toEqual(["deeper"]);
});

it("may be read by whoever may read a folder that was made beside it", async () => {
  const root = await scratchFolder();
  const [to, beside] = [join(root, "out"), join(root, "beside")];
  await mkdir(beside);
  await writeExportFolder(to, about, filled("one"));
  expect((await stat(to)).mode).toBe((await stat(beside)).mode);
});

it("replaces an earlier export of the same kind whole", async () => {
  const to = join(await scratchFolder(), "out");
  await writeExportFolder(to, about, async (folder) => await writeFile(join(folder, "gone.txt"), "old"));
  await writeExportFolder(to, { ...about, run: "other" }, filled("two"));
  expect((await readdir(to)).sort()).toEqual(["deep", EXPORT_FILE]);
  expect(JSON.parse(await readFile(join(to, EXPORT_FILE), "utf8"))).toMatchObject({
    kind: "hub",
    run: "other",
    // sha256sum of the three bytes `two`.
    files: {
      "deep/a.txt": { size: 3, sha256: "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3" },
    },
  });
});

const spoilers: readonly (readonly [string, (folder: string) => Promise<void>, string])[] = [
  [
    "a file of somebody's",
    (folder) => writeFile(join(folder, "mine.txt"), ""),
    "holds mine.txt, which the export did not write",
  ],
  [
    "a changed file",
    (folder) => writeFile(join(folder, "deep", "a.txt"), "ONE"),
    "holds deep/a.txt, which was changed",
  ],
  [
    "a longer file",
    (folder) => writeFile(join(folder, "deep", "a.txt"), "one more"),
    "which was changed after the export",
  ],
  ["a link", (folder) => symlink("deep/a.txt", join(folder, "link")), "is a link or a special file"],
  ["a damaged record", (folder) => writeFile(join(folder, EXPORT_FILE), "{"), `is no export (no ${EXPORT_FILE})`],
];

it.each(spoilers)("is refused over an export with %s, which stays", async (_, spoil, problem) => {
  const to = join(await scratchFolder(), "out");
  await writeExportFolder(to, about, filled("one"));
  await spoil(to);
  const before = await readdir(to);
  const again = writeExportFolder(to, about, filled("two"));
  await expect(again).rejects.toThrow(problem);
  await expect(again).rejects.toBeInstanceOf(ExportFolderError);
  expect(await readdir(to)).toEqual(before);
  expect(await read(to)).not.toBe("two");
});

it("is refused over a foreign folder, a file, and an export of another kind", async () => {
  const root = await scratchFolder();
  await filled("mine")(root);
  await expect(writeExportFolder(root, about, filled("two"))).rejects.toThrow(`is not empty and is no export`);
  await expect(writeExportFolder(join(root, "deep", "a.txt"), about, filled("two"))).rejects.toThrow("is a file");
  const to = join(root, "out");
  await writeExportFolder(to, about, filled("one"));
  const other = writeExportFolder(to, { ...about, kind: "neuronpedia" }, filled("two"));
  await expect(other).rejects.toThrow("is an export of another kind (hub)");
  expect([await read(root), await read(to)]).toEqual(["mine", "one"]);
});

it("refuses what somebody writes into the folder while it works", async () => {
  const to = join(await scratchFolder(), "out");
  const work = writeExportFolder(to, about, async (folder) => {
    await filled("one")(folder);
    await mkdir(to);
    await writeFile(join(to, "mine.txt"), "");
  });
  await expect(work).rejects.toThrow("is not empty and is no export");
  expect(await readdir(to)).toEqual(["mine.txt"]);
});

const failing = (isWanted: (call: number) => boolean): FileSystem => {
  let calls = 0;
  return {
    ...disk,
    rename: async (from, to) => {
      calls += 1;
      if (isWanted(calls)) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      await disk.rename(from, to);
    },
  };
};

it.each([1, 2, 3])("keeps the earlier export when rename %i fails, and says so", async (call) => {
  const root = await scratchFolder();
  const to = join(root, "out");
  await writeExportFolder(to, about, filled("one"));
  const files = failing((at) => at === call);
  await expect(writeExportFolder(to, about, filled("two"), files)).rejects.toThrow(/no space left on device/);
  expect(await read(to)).toBe("one");
  expect(await readdir(root)).toEqual(["out"]);
});

it("leaves the folder as it was when filling fails", async () => {
  const root = await scratchFolder();
  const to = join(root, "out");
  const work = writeExportFolder(to, about, async (folder) => {
    await filled("half")(folder);
    throw new TypeError("cut off");
  });
  await expect(work).rejects.toThrow("cut off");
  expect(await readdir(root)).toEqual([]);
});
