import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import type { Device } from "../engine/device.ts";
import { Classifier } from "../models/classifier.ts";
import { type ClassifierSettings, classifierReward } from "./classifier.ts";

const folder = (name: string): string =>
  fileURLToPath(new URL(`../../test/fixtures/classifiers/${name}`, import.meta.url));
const settings: ClassifierSettings = { model: folder("distilbert"), label: "POSITIVE", output: "logit", scale: 1 };
const batch = [
  { prompt: "The film", completion: " was wonderful." },
  { prompt: "", completion: "a boring, boring script" },
  { prompt: "The film", completion: " was wonderful." },
];

describe("a classifier as feedback", () => {
  let device: Device;
  let logits: readonly number[];
  beforeAll(async () => {
    const [cpu] = devicesUnderTest;
    if (cpu === undefined) throw new Error("there is no device");
    device = await cpu.open();
    await using classifier = await Classifier.load(device, settings.model);
    logits = [...(await classifier.logits(["The film was wonderful.", "a boring, boring script", " was wonderful."]))];
  });
  afterAll(() => device.close());

  const scores = async (changed: Partial<ClassifierSettings>, text: "full" | "completion" = "full") => {
    await using reward = await classifierReward({ ...settings, ...changed }, text, device);
    const first = [...(await reward.score(batch))];
    expect([...(await reward.score(batch.toReversed()))]).toEqual(first.toReversed());
    return first;
  };

  it("gives the named label's logit of prompt and completion, or of the completion alone", async () => {
    const [, film = 0, , script = 0, , alone = 0] = logits;
    expect(await scores({})).toEqual([film, script, film]);
    expect(await scores({}, "completion")).toEqual([alone, script, alone]);
    expect(await scores({ scale: -0.5 })).toEqual([-0.5 * film, -0.5 * script, -0.5 * film]);
    expect(await scores({ label: "NEGATIVE" })).toEqual([logits[0], logits[2], logits[0]]);
  });

  it("gives its probability: softmax over the labels, sigmoid of an only one", async () => {
    const softmax = (own: number, other: number) => Math.exp(own) / (Math.exp(own) + Math.exp(other));
    const [negative = 0, positive = 0] = logits;
    const [film = 0] = await scores({ output: "probability" });
    expect(film).toBeCloseTo(softmax(positive, negative), 6);
    const [other = 0] = await scores({ output: "probability", label: "NEGATIVE" });
    expect(film + other).toBeCloseTo(1, 6);
    const only = { model: folder("bert"), label: null };
    const [logit = 0, probability = 0] = [
      (await scores(only))[0],
      (await scores({ ...only, output: "probability" }))[0],
    ];
    expect(probability).toBeCloseTo(1 / (1 + Math.exp(-logit)), 6);
  });

  it("gives each label of several that may hold at once a probability of its own", async () => {
    const model = await scratchFolder();
    await cp(settings.model, model, { recursive: true });
    const path = join(model, "config.json");
    const config: object = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...config, problem_type: "multi_label_classification" }));
    for (const [column, label] of ["NEGATIVE", "POSITIVE"].entries()) {
      const [film = 0] = await scores({ model, label, output: "probability" });
      expect(film).toBeCloseTo(1 / (1 + Math.exp(-(logits[column] ?? 0))), 6);
    }
  });

  it("has to be told which of several labels", async () => {
    const open = (label: string | null) => classifierReward({ ...settings, label }, "full", device);
    await expect(open(null)).rejects.toThrow(/label is null, but .* has 2 labels: NEGATIVE, POSITIVE\. Give one/);
    await expect(open("positive")).rejects.toThrow(/label is "positive", but/);
  });

  it("stops between batches with the signal's reason", async () => {
    await using reward = await classifierReward(settings, "full", device);
    await expect(reward.score(batch, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  });
});
