import { join } from "node:path";
import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { deviceOptions, withDevice } from "../cli/with-device.ts";
import { starterFolder } from "../common/package-root.ts";
import { openModel, starterReference } from "../models/open.ts";
import { readTexts } from "../pipeline/data/texts.ts";
import { vaderRatings } from "../rewards/vader.ts";
import { sentimentTask } from "../tasks/sentiment/sentiment-task.ts";
import { benchProbe as timeProbe } from "./probe-timing.ts";
import { peakRssMB, rounded } from "./timing.ts";

export const benchProbe = defineCommand({
  usage: "[options]",
  about:
    "Times the reading of features at the target words of triples, a ridge fit, and the whole evaluation of a probe with its controls, on the starter model and its " +
    "texts, after checking batched reading against single texts and the fit against its optimum.",
  options: { triples: option.integer("triples, at most", 500, { min: 50, max: 100_000 }), ...deviceOptions },
  run: async ({ options, signal, note, env }): Promise<CommandResult> =>
    withDevice({ ...options, signal, note, env }, async (device) => {
      note("making triples");
      const { model, tokenizer } = await openModel(device, starterReference);
      const texts = await readTexts(join(starterFolder(), "reviews.jsonl"), { field: "text" });
      const task = sentimentTask(vaderRatings({ lexicon: "head" }));
      const sources = texts.map(({ row, text }) => ({ id: `reviews/${row}`, text }));
      const { triples } = await task.makeTriples(sources, { seed: 1, tokenizer, limit: options.triples });
      note("checking and timing");
      const prefixIds = model.config.bosId === undefined ? [] : [model.config.bosId];
      const figures = await timeProbe({
        device,
        model,
        tokenizer,
        triples,
        ratings: task.ratings,
        prefixIds,
      });
      const text = `starter on ${device.description}; check ${figures.check}\nreading      ${rounded(figures.collectTextsPerSecond)} texts a second\nridge        ${rounded(figures.ridgeSeconds)} s for ${figures.ridgeRows} x ${figures.ridgeColumns}\nevaluation   ${rounded(figures.evaluationSeconds)} s`;
      return { json: { ...figures, peakRssMB: peakRssMB() }, text, status: figures.check === "ok" ? "ok" : "internal" };
    }),
});
