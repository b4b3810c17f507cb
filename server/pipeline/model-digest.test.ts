import { appendFile, copyFile, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { starterFolder } from "../common/package-root.ts";
import { parseExperiment } from "./experiment/resolve.ts";
import { findModels } from "./plan-inputs.ts";

/** The digest by which stages know an experiment's model. */
async function digestOf(folder: string): Promise<string> {
  const experiment = parseExperiment({ preset: "quick", model: folder });
  return (await findModels(experiment, { run: "demo" })).model.digest;
}

async function copyOfStarter(): Promise<string> {
  const folder = await scratchFolder();
  for (const name of await readdir(starterFolder())) await copyFile(join(starterFolder(), name), join(folder, name));
  return folder;
}

test("what no model is read from may come and go beside it: stages know it by the same digest", async () => {
  const folder = await copyOfStarter();
  const before = await digestOf(folder);
  await writeFile(join(folder, "README.md"), "another card");
  await writeFile(join(folder, "pytorch_model.bin"), "a pickle");
  await mkdir(join(folder, ".git"));
  await writeFile(join(folder, ".git", "config"), "");
  await symlink("/tmp", join(folder, "elsewhere"));
  expect(await digestOf(folder)).toBe(before);
});

test.each([
  "config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "generation_config.json",
  "special_tokens_map.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "additional_chat_templates/tool_use.jinja",
  "model.safetensors.index.json",
  "other.safetensors",
])("%s counts", async (name) => {
  const folder = await copyOfStarter();
  const before = await digestOf(folder);
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await appendFile(join(folder, name), " ");
  expect(await digestOf(folder)).not.toBe(before);
});
