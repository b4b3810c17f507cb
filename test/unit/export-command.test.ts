import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { starterRunFolder } from "../../server/common/package-root.ts";
import { jsonOf, runLfp } from "../support/run-lfp.ts";
import { scratchFolder } from "./runs/scratch.ts";

const lfp = (...args: readonly string[]) => runLfp(["export", ...args]);

it("writes what is asked for where it is asked for, says what to know first, and replaces its own", async () => {
  const to = join(await scratchFolder(), "hub");
  const asked = [starterRunFolder(), "--hub", to, "--repository", "me/quick"];
  const first = await lfp(...asked);
  expect(first.code, first.stderr).toBe(0);
  expect(first.stdout).toMatch(/^.*hub: \d+ files, [\d.]+ MB\n {2}README\.md states no licence: /);
  const before = await readdir(to);
  const again = await lfp(...asked, "--json");
  const [, files] = /: (\d+) files/.exec(first.stdout) ?? [];
  expect(jsonOf(again)).toMatchObject({ exported: [{ kind: "hub", folder: to, files: Number(files) }] });
  expect(await readdir(to)).toEqual(before);
  expect(await readFile(join(to, "README.md"), "utf8")).toContain('from_pretrained("me/quick")');
}, 60_000);

it.each([
  ["without a kind", [], 2, "--hub DIR or --neuronpedia DIR is missing"],
  ["with an option of the other kind", ["--hub", "x", "--creator", "me"], 2, "--creator goes with --neuronpedia"],
  ["with the weights' option alone", ["--neuronpedia", "x", "--merged"], 2, "--merged goes with --hub"],
  ["with a repository that is none", ["--hub", "x", "--repository", "quick"], 2, "it is no hub id (owner/name)"],
])("is refused %s", async (_, more, code, says) => {
  const { code: got, stderr } = await lfp(starterRunFolder(), ...more);
  expect(stderr).toContain(says);
  expect(got).toBe(code);
});

it("is refused for a folder that holds no run, and for one that is not the command's own", async () => {
  const folder = await scratchFolder();
  const none = await lfp(folder, "--hub", join(folder, "hub"));
  expect([none.code, none.stderr]).toEqual([4, expect.stringContaining("holds no run")]);
  const own = await lfp(starterRunFolder(), "--neuronpedia", starterRunFolder());
  expect([own.code, own.stderr]).toEqual([2, expect.stringContaining("is not empty and is no export")]);
});
