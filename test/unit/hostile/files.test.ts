import { execFileSync } from "node:child_process";
import { mkdir, readdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import { isJson, MOST_DEPTH, parseJson } from "../../../server/common/json.ts";
import { packageRoot } from "../../../server/common/package-root.ts";
import { openRegular, readTextFile, WholeFileError } from "../../../server/common/text-file.ts";
import { readAblationSet } from "../../../server/lens/ablation-file.ts";
import { readConfig } from "../../../server/models/config.ts";
import { openCheckpointTensors } from "../../../server/models/safetensors.ts";
import { readTokenizer } from "../../../server/models/tokenizer/file.ts";
import { loadExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { readRunReport } from "../../../server/pipeline/finished/run-report.ts";
import { loadProbe } from "../../../server/probe/format.ts";
import { checksumOf } from "../../../server/runs/files.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { loadSae } from "../../../server/sae/format.ts";
import { runRecord } from "../../support/run-record.ts";
import { scratchFolder } from "../runs/scratch.ts";

/** Everything that reads a file whole, by the file that it reads. */
const readers: readonly (readonly [name: string, read: (folder: string) => Promise<unknown>])[] = [
  ["config.json", (folder) => readConfig(folder)],
  ["tokenizer.json", (folder) => readTokenizer(folder)],
  ["model.safetensors.index.json", (folder) => openCheckpointTensors(folder)],
  ["experiment.json", (folder) => loadExperiment(join(folder, "experiment.json"))],
  ["run.json", (folder) => readRecord(folder)],
  ["report.json", (folder) => readRunReport(folder)],
  ["probe.json", (folder) => loadProbe(folder)],
  ["cfg.json", (folder) => loadSae(folder)],
  ["x.lfp-ablation.json", (folder) => readAblationSet(join(folder, "x.lfp-ablation.json"))],
  ["anything", (folder) => checksumOf(join(folder, "anything"))],
];

describe.skipIf(process.platform === "win32")("a file that is read whole", () => {
  it.each(readers)("%s that is a pipe is refused at once", async (name, read) => {
    const folder = await scratchFolder();
    execFileSync("mkfifo", [join(folder, name)]);
    await expect(read(folder)).rejects.toMatchObject({ code: "input", message: expect.stringMatching(/a named pipe/) });
  });

  it.each(readers)("%s that leads to a device without an end is refused", async (name, read) => {
    const folder = await scratchFolder();
    await symlink("/dev/zero", join(folder, name));
    await expect(read(folder)).rejects.toMatchObject({ code: "input", message: expect.stringMatching(/a device/) });
  });

  it.each(readers.filter(([name]) => name !== "anything"))("%s of 3 GB is refused by its size", async (name, read) => {
    const folder = await scratchFolder();
    await writeFile(join(folder, name), "");
    await truncate(join(folder, name), 3e9);
    await expect(read(folder)).rejects.toMatchObject({
      code: "input",
      message: expect.stringMatching(/it has 3000000000 bytes; at most/),
    });
  });

  it.each(readers.filter(([name]) => name !== "anything"))(
    "%s nested 100,000 deep is an error of ours",
    async (name, read) => {
      const folder = await scratchFolder();
      await writeFile(join(folder, name), `${'{"model_type":['.repeat(1)}${"[".repeat(1e5)}${"]".repeat(1e5)}]}`);
      const error = await read(folder).catch((thrown: unknown) => thrown);
      expect(error).toHaveProperty("code", name === "experiment.json" ? "usage" : "input");
      expect(String(error)).not.toMatch(/call stack/);
    },
  );

  test("a folder, a loop of links and what the system makes up as it is read", async () => {
    const folder = await scratchFolder();
    await mkdir(join(folder, "folder"));
    await symlink("loop", join(folder, "loop"));
    await expect(readTextFile(join(folder, "folder"), "record")).rejects.toThrow(WholeFileError);
    await expect(openRegular(join(folder, "loop"))).rejects.toMatchObject({ code: "ELOOP" });
    if (process.platform === "linux")
      expect(await readTextFile("/proc/self/status", "record")).toMatch(/^Name:[\s\S]*ctxt_switches/);
  });

  test("a job, a lock or a request to stop that is a pipe does not hold up a run's status", async () => {
    const folder = await scratchFolder();
    await mkdir(join(folder, "lock", "1"), { recursive: true });
    for (const name of ["job.json", "cancel.json", "lock/1/holder.json"]) execFileSync("mkfifo", [join(folder, name)]);
    expect((await runStatus(folder)).state.kind).toBe("new");
  });

  test("a record of 30,000 stages is none", async () => {
    const folder = await scratchFolder();
    const stage = { id: "a", stage: "a", codeVersion: 1, status: "done" } as const;
    const write = (stages: number): Promise<void> =>
      writeFile(
        join(folder, "run.json"),
        JSON.stringify(runRecord({ stages: Array.from({ length: stages }, () => stage) })),
      );
    await write(30_000);
    await expect(readRecord(folder)).rejects.toMatchObject({ code: "input" });
    await write(1);
    expect((await readRecord(folder))?.stages).toHaveLength(1);
  });
});

test("nothing else in the server reads a file whole", async () => {
  const root = join(packageRoot(), "server");
  const sources = (await readdir(root, { recursive: true })).filter((path) => /(?<!\.test)\.ts$/.test(path));
  const reads = await Promise.all(
    sources.map(async (path) => [path, await readTextFile(join(root, path), "text")] as const),
  );
  const found = reads
    .filter(([, text]) => /\breadFile(Sync)?\b/.test(text))
    .map(([path]) => path.replaceAll("\\", "/"));
  // The package's own manifest.
  expect(found).toEqual(["common/package-root.ts"]);
});

describe("JSON", () => {
  it("is read to a depth, and said to be too deep beyond", () => {
    const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
    expect(isJson(nested(MOST_DEPTH))).toBe(true);
    expect(() => parseJson(nested(MOST_DEPTH + 1))).toThrow(/nested more than 256 deep, at character 257/);
    expect(isJson(nested(1e6))).toBe(false);
  });

  it("is not taken for deep because of what stands in its strings, or beside one another", () => {
    const text = JSON.stringify([`"${"[{\\".repeat(500)}`, ...Array.from({ length: 500 }, () => [{}])]);
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });
});
