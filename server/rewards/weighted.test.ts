import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import { rewards } from "./rewards.ts";
import { WeightedConfig } from "./weighted-config.ts";

const judge = `
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.parse(line).text.length);`;
const batch = [
  { prompt: "It was", completion: " a great, lovely film." },
  { prompt: "It was", completion: " dull." },
];

async function config(more: object = {}) {
  const program = join(await scratchFolder(), "judge.mjs");
  await writeFile(program, judge);
  return WeightedConfig.parse({
    kind: "weighted",
    parts: [
      { name: "sentiment", weight: 2, reward: { kind: "vader", lexicon: "head" } },
      { name: "length", weight: -0.1, reward: { kind: "command", command: [process.execPath, program] } },
    ],
    ...more,
  });
}

describe("feedback that weighs others", () => {
  it("is the sum of each part's reward of the same text times its weight, and has each by its name", async () => {
    const { text, ...settings } = await config();
    const device = await createCpuDevice({ threads: 1 });
    try {
      await using reward = await rewards.weighted.open(settings, text, device);
      const vader = await rewards.vader.open({ kind: "vader", lexicon: "head" }, text, device);
      const [first = 0, second = 0] = await vader.score(batch);
      expect(first).toBeGreaterThan(second);
      const sums = await reward.score(batch);
      const lengths = batch.map(({ prompt, completion }) => (prompt + completion).length);
      expect([...sums]).toEqual([first, second].map((value, at) => 2 * value + -0.1 * (lengths[at] ?? 0)));
      expect(reward.parts?.map(({ name, weight }) => [name, weight])).toEqual([
        ["sentiment", 2],
        ["length", -0.1],
      ]);
      const [, length] = reward.parts ?? [];
      expect([...((await length?.reward.score(batch)) ?? [])]).toEqual(lengths);
    } finally {
      await device.close();
    }
  });

  it("has the models, files, issues and costs of its parts", async () => {
    const classifier = { kind: "classifier", model: "owner/name", label: "x" };
    const grader = { kind: "grader", endpoint: "https://far.example/v1", model: "m", rubric: "r" };
    const { text: _, ...settings } = await config({
      parts: [
        { name: "a", weight: 1, reward: { kind: "command", command: ["/no/such/program"] } },
        { name: "b", weight: 1, reward: classifier },
        { name: "c", weight: 1, reward: grader },
      ],
    });
    const { weighted } = rewards;
    expect([weighted.models(settings), weighted.files(settings)]).toEqual([["owner/name"], ["/no/such/program"]]);
    const issues = await weighted.issues(settings, async () => undefined);
    expect(issues.map(({ path }) => path.join("."))).toEqual(["parts.0.reward.command.0", "parts.2.reward.endpoint"]);
    expect(weighted.cost(settings, 10)).toContain("up to 10 grades");
    expect(weighted.inWords(settings)).toMatch(/^1 times a \(the program program .* plus 1 times b \(the logit of x/);
    expect(weighted.ratings(settings)?.values).toEqual(
      rewards.vader.ratings({ kind: "vader", lexicon: "head" })?.values,
    );
  });

  it.each<[string, unknown]>([
    ["no part", []],
    ["two of one name", [1, 2].map((weight) => ({ name: "a", weight, reward: { kind: "vader", lexicon: "head" } }))],
    ["edits", [{ name: "a", weight: 1, reward: { kind: "vader", lexicon: "head", edits: [] } }]],
    ["a text of its own", [{ name: "a", weight: 1, reward: { kind: "command", command: ["x"], text: "full" } }]],
    ["another weighted one", [{ name: "a", weight: 1, reward: { kind: "weighted", parts: [] } }]],
    ["no feedback", [{ name: "a", weight: 1, reward: { kind: "none" } }]],
  ])("refuses %s", (_, parts) => {
    expect(WeightedConfig.safeParse({ kind: "weighted", parts }).success).toBe(false);
  });
});
