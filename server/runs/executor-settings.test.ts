import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { executorsFile, readPlace } from "./executor-settings.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-executors-"));
});
afterAll(async () => rm(folder, { recursive: true }));

async function stated(text: string): Promise<NodeJS.ProcessEnv> {
  const path = join(folder, "executors.json");
  await writeFile(path, text);
  return { LFP_EXECUTORS: path };
}

test.skipIf(process.platform === "win32")("the file is the user's own, wherever lfp is called", () => {
  expect(executorsFile({})).toBe(join(homedir(), ".config", "lfp", "executors.json"));
  expect(executorsFile({ XDG_CONFIG_HOME: "/etc/xdg" })).toBe("/etc/xdg/lfp/executors.json");
  expect(executorsFile({ XDG_CONFIG_HOME: "/etc/xdg", LFP_EXECUTORS: "/opt/lab.json" })).toBe("/opt/lab.json");
});

test("without a file, and for a kind that it does not mention, the defaults apply", async () => {
  expect(await readPlace("slurm", { LFP_EXECUTORS: join(folder, "none.json") })).toMatchObject({
    executor: "slurm",
    settings: { extraArgs: [], modules: [], saveSeconds: 120, restartsWithoutProgress: 3 },
  });
  expect(await readPlace("local", await stated('{"slurm": {"partition": "gpu"}}'))).toEqual({
    executor: "local",
    settings: {},
  });
});

test("settings are read from the file", async () => {
  const env = await stated(
    '{"slurm": {"partition": "gpu", "time": "2-00:00", "memory": "8G", "extraArgs": ["--nice"]}}',
  );
  expect((await readPlace("slurm", env)).settings).toMatchObject({ partition: "gpu", extraArgs: ["--nice"] });
});

test.each([
  ["a setting that there is none of", '{"slurm": {"partitio": "gpu"}}', /partitio/],
  ["a kind that there is none of", '{"abacus": {}}', /abacus/],
  ["a time that Slurm does not take", '{"slurm": {"time": "two days"}}', /minutes, hours:minutes:seconds/],
  ["no JSON", '{"slurm": ', /JSON/],
])("a file with %s is refused by name", async (_, text, expected) => {
  const failure = readPlace("slurm", await stated(text));
  await expect(failure).rejects.toMatchObject({ code: "usage" });
  await expect(failure).rejects.toThrow(expected);
  await expect(failure).rejects.toThrow(`${join(folder, "executors.json")} cannot be used`);
});

test("a folder in its place is refused by name", async () => {
  const path = join(folder, "folder.json");
  await mkdir(path);
  await expect(readPlace("slurm", { LFP_EXECUTORS: path })).rejects.toMatchObject({ code: "usage" });
});
