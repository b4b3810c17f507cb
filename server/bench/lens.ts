import { join } from "node:path";
import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { deviceOptions, withDevice } from "../cli/with-device.ts";
import { starterFolder } from "../common/package-root.ts";
import { loadTokenizer } from "../models/tokenizer.ts";
import { readTexts } from "../pipeline/data/texts.ts";
import { randomLensSubject } from "./lens-subject.ts";
import { type LensTimes, lensError, type TextOfTokens, timeLens } from "./lens-timing.ts";
import type { BenchShape } from "./shapes.ts";
import { BenchCheckError, peakRssMB } from "./timing.ts";

/** The budget on two cores: how long a person waits for the colours of a paragraph of usual length, after an edit, and at first. */
const budget = { model: "pythia-70m", tokens: 128, p95Ms: 60, coldP95Ms: 120 } as const;
const tolerance = 1e-4;

export const benchLens = defineCommand({
  usage: "[options]",
  about:
    "Times how long the lens takes to read paragraphs of 32, 128 and 512 tokens, on models of the starter's and of Pythia-70m's shape with random weights, how familiar each is to the probe included: cold (its " +
    "program is compiled on the way), warm, and from the cache; median and 95th percentile in milliseconds. Before that it checks the numbers against a plain forward pass.",
  options: {
    shape: option.choice("SHAPE", "the model's shape", ["both", "starter", "pythia-70m"], "both"),
    repeats: option.integer("paragraphs of each length, warm", 40, { min: 1, max: 10_000 }),
    "cold-repeats": option.integer("paragraphs of each length, cold", 5, { min: 1, max: 1000 }),
    ...deviceOptions,
  },
  run: async ({ options, signal, note, env }): Promise<CommandResult> =>
    withDevice({ ...options, signal, note, env }, async (device) => {
      const shapes: readonly BenchShape[] = options.shape === "both" ? ["starter", "pythia-70m"] : [options.shape];
      const textOf = await paragraphs();
      const models: { model: BenchShape; paragraphs: LensTimes[] }[] = [];
      for (const model of shapes) {
        note(`${model}: checking and timing`);
        const subject = await randomLensSubject(device, model);
        const error = await lensError(subject, textOf(48, 0));
        if (!(error <= tolerance))
          throw new BenchCheckError(`${model}'s largest relative error`, `${error}`, `at most ${tolerance}`);
        const timing = {
          tokens: [32, 128, 512],
          warmRepeats: options.repeats,
          coldRepeats: options["cold-repeats"],
          signal,
        };
        models.push({ model, paragraphs: await timeLens(subject, textOf, timing) });
        await subject.close();
      }
      const judged = judge(models);
      const json = {
        name: "lens",
        check: "ok",
        device: device.kind,
        models,
        budget: judged,
        peakRssMB: peakRssMB(),
      };
      return { json, text: asText(device.description, models) };
    }),
});

/** The budget beside what was measured; null where its model or length was not. */
function judge(models: readonly { readonly model: BenchShape; readonly paragraphs: readonly LensTimes[] }[]) {
  const measured = models
    .find(({ model }) => model === budget.model)
    ?.paragraphs.find(({ tokens }) => tokens === budget.tokens);
  if (measured === undefined) return null;
  const [gotMs, coldGotMs] = [measured.warmMs.p95, measured.coldMs.p95];
  return { ...budget, gotMs, coldGotMs, met: gotMs < budget.p95Ms && coldGotMs < budget.coldP95Ms };
}

/** Texts of exactly the given number of tokens from the starter's reviews, each cut at another place. */
export async function paragraphs(): Promise<TextOfTokens> {
  const tokenizer = await loadTokenizer(starterFolder());
  const reviews = await readTexts(join(starterFolder(), "reviews.jsonl"), { field: "text", limit: 1000 });
  const all = reviews.map(({ text }) => text).join(" ");
  const { ranges } = tokenizer.encode(all, { addSpecialTokens: false });
  // A text cut between two words keeps its tokens.
  const starts = ranges.flatMap(({ start }, token) => (all[start] === " " ? [token] : []));
  return (tokens, number) => {
    for (let at = (number * 61) % starts.length; ; at = (at + 1) % starts.length) {
      const first = starts[at] ?? 0;
      const text = all.slice(ranges[first]?.start, ranges[first + tokens - 1]?.end);
      if (tokenizer.encode(text, { addSpecialTokens: false }).ids.length === tokens) return text;
    }
  };
}

function asText(device: string, models: readonly { model: string; paragraphs: readonly LensTimes[] }[]): string {
  const cell = ({ p50, p95 }: LensTimes["warmMs"]): string => `${p50.toFixed(1)} / ${p95.toFixed(1)}`.padStart(16);
  const lines = models.flatMap(({ model, paragraphs: rows }) =>
    rows.map(
      ({ tokens, coldMs, warmMs, cachedMs }) =>
        `${model.padEnd(12)}${`${tokens}`.padStart(6)}${cell(coldMs)}${cell(warmMs)}${cell(cachedMs)}`,
    ),
  );
  const head = `${"model".padEnd(12)}${"tokens".padStart(6)}${["cold", "warm", "cached"].map((name) => name.padStart(16)).join("")}`;
  return [`on ${device}; check ok; milliseconds, median / 95th percentile`, head, ...lines].join("\n");
}
