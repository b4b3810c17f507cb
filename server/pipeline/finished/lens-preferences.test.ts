import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { scratchFolder } from "../../../test/unit/runs/scratch.ts";
import { starterFolder } from "../../common/package-root.ts";
import { loadTokenizer } from "../../models/tokenizer.ts";
import { parseExperiment } from "../experiment/resolve.ts";
import { betaOfRun, messageWriterOf, preferencesOfRun } from "./lens-preferences.ts";

const ofData = (tokens: object) =>
  parseExperiment({
    preset: "preferences",
    name: "a",
    data: { source: { file: "pairs.jsonl" } },
    tuning: { beta: 0.2, pairs: { from: "data", tokens } },
  });

it("a run's pairs become tokens as its tuning made them, within the model's context", async () => {
  const tokenizer = await loadTokenizer(starterFolder());
  const options = { tokenizer, folders: [], prefixIds: [0], contextLength: 64 };
  const rule = async (experiment: Parameters<typeof preferencesOfRun>[0]) =>
    (await preferencesOfRun(experiment, options)).rule;
  const old = ofData({ rule: "trl-0.7.7", maxTokens: 256, maxPromptTokens: 32 });
  const first = ofData({ rule: "trl-1", maxTokens: 48 });
  const { bosId, eosId } = tokenizer;
  expect(await rule(old)).toEqual({ kind: "trl-0.7.7", bosId, eosId, maxTokens: 64, maxPromptTokens: 32 });
  expect(await rule(first)).toEqual({ kind: "trl-1", before: "tokenizer", end: "<|endoftext|>", maxTokens: 48 });
  const sampled = parseExperiment({ preset: "quick-preferences", name: "a" });
  expect(await rule(sampled)).toEqual({ kind: "trl-1", before: [0], end: "", maxTokens: 64 });
  expect([old, first, sampled, parseExperiment({ preset: "quick", name: "a" })].map(betaOfRun)).toEqual([
    0.2,
    0.2,
    0.1,
    null,
  ]);
});

it("messages are written by the first folder with a chat template, and a broken one fails only when it is needed", async () => {
  const [plain, broken] = [await scratchFolder(), await scratchFolder()];
  expect(await messageWriterOf(plain)).toBeUndefined();
  await writeFile(join(plain, "chat_template.jinja"), "{{ messages[0].content }}!");
  const messages = [{ role: "user", content: "Hi" }];
  expect((await messageWriterOf(await scratchFolder(), plain))?.render(messages, {})).toBe("Hi!");
  await writeFile(join(broken, "tokenizer_config.json"), "{");
  const writer = await messageWriterOf(broken);
  expect(() => writer?.render(messages, {})).toThrow(/tokenizer_config\.json/);
});
