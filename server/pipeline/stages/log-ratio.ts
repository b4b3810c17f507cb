import { join } from "node:path";
import { loadModel } from "../../models/checkpoint.ts";
import { writeSafetensors } from "../../models/safetensors.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { answerSequence } from "../../probe/answer-sequences.ts";
import type { GivenSequences } from "../../probe/collect.ts";
import { LogRatioCollection } from "../../probe/collect-log-ratio.ts";
import type { TargetSequence } from "../../probe/collect-plan.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { spansOf } from "../../tasks/contrast.ts";
import type { Span } from "../../tasks/task.ts";
import { readFloats } from "../artifacts/array-files.ts";
import { collectAll } from "../artifacts/collecting.ts";
import { readContrasts } from "../artifacts/contrasts.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { logRatiosFile, logRatiosTensor } from "../artifacts/log-ratios.ts";
import { prefixOf } from "../artifacts/token-ids.ts";
import { readTriples } from "../artifacts/triples.ts";

export interface LogRatioSettings {
  readonly prependBos: boolean;
}

/**
 * Measures the change by tuning in the log-probability of each target word, in nats. `model` is the base model, whose
 * tokenizer serves both.
 */
export const logRatioStage: Stage<LogRatioSettings, "model" | "tuned" | "triples"> = {
  name: "log-ratio",
  codeVersion: 1,
  run: async (context) => {
    const spans = spansOf(await readTriples(context.input("triples")));
    await measure(context, () => spans);
  },
};

export interface AnswerLogRatioSettings extends LogRatioSettings {
  /** Tokens of prompt and answer at most, and never more than the models' context. */
  readonly maxTokens: number;
}

/** The same for the answers of contrasts: the sum over each answer's tokens, without an end-of-text token. */
export const answerLogRatioStage: Stage<AnswerLogRatioSettings, "model" | "tuned" | "contrasts"> = {
  name: "answer-log-ratio",
  codeVersion: 1,
  run: async (context) => {
    const spans = spansOf(await readContrasts(context.input("contrasts")));
    await measure(context, ({ tokenizer, prefixIds, contextLength }) => {
      const most = Math.min(context.settings.maxTokens, contextLength);
      const sequences = spans.map((span, row) => predicted(answerSequence(span, row, { tokenizer, prefixIds, most })));
      return { sequences };
    });
  },
};

/** Without the first token of a text, which nothing predicts, if there are others. */
function predicted(sequence: TargetSequence): TargetSequence {
  const places = sequence.places.filter((place) => place > 0);
  return places.length === 0 ? sequence : { ...sequence, places };
}

interface Reading {
  readonly tokenizer: Tokenizer;
  readonly prefixIds: readonly number[];
  /** What both models can read. */
  readonly contextLength: number;
}

async function measure<Names extends string>(
  context: StageContext<LogRatioSettings, Names | "model" | "tuned">,
  what: (reading: Reading) => readonly Span[] | GivenSequences,
): Promise<void> {
  const { input, settings, output } = context;
  await withDevice(context, async (device) => {
    const { model: base, tokenizer } = await loadModelAndTokenizer(device, input("model"));
    const tuned = await loadModel(device, input("tuned"), { prefix: "tuned." });
    const prefixIds = prefixOf({ prependBos: settings.prependBos, bosId: base.config.bosId });
    const contextLength = Math.min(base.config.contextLength, tuned.config.contextLength);
    const collection = new LogRatioCollection(what({ tokenizer, prefixIds, contextLength }), {
      device,
      pair: { tuned, base },
      tokenizer,
      prefixIds,
    });
    const data = await collectAll(collection, context, readFloats);
    await writeSafetensors(join(output, logRatiosFile), [
      { name: logRatiosTensor, dtype: "F32", shape: [data.length], data },
    ]);
  });
}
