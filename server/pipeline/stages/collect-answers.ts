import type { Device } from "../../engine/device.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { type AnswerSequence, answerSequence, publishedSequences } from "../../probe/answer-sequences.ts";
import { FeatureCollection, rawActivations } from "../../probe/collect.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { type Contrast, spansOf } from "../../tasks/contrast.ts";
import { readFloats } from "../artifacts/array-files.ts";
import { writeAnswers } from "../artifacts/collected-answers.ts";
import { collectAll } from "../artifacts/collecting.ts";
import { readContrasts } from "../artifacts/contrasts.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { prefixOf } from "../artifacts/token-ids.ts";
import { smallDictionaries } from "../features/small-dictionaries.ts";

export interface CollectAnswersSettings {
  /** The model whose autoencoders encode the activations. */
  readonly dictionaries: "base" | "tuned";
  /** Answers after their prompts, or alone and padded as the published code reads them. */
  readonly reads: keyof typeof sequencesOf;
  readonly prependBos: boolean;
  /** Tokens of prompt and answer at most, and never more than the model's context. */
  readonly maxTokens: number;
}

type Context = StageContext<CollectAnswersSettings, "model" | "tokenizer" | "saes" | "contrasts">;

/** Runs a model over answers, and saves the mean of its features over each answer's tokens. */
export const collectAnswersStage: Stage<CollectAnswersSettings, "model" | "tokenizer" | "saes" | "contrasts"> = {
  name: "collect-answers",
  codeVersion: 1,
  run: async (context) => {
    await withDevice(context, async (device) => {
      const contrasts = await readContrasts(context.input("contrasts"));
      const { collection, sequences } = await openCollection(device, contrasts, context);
      const { features, activations } = await collectAll(collection, context, readFloats);
      await writeAnswers(context.output, {
        contrasts: contrasts.length,
        tokens: Int32Array.from(sequences, ({ places }) => places.length),
        cut: sequences.filter(({ cut }) => cut).length,
        features,
        activations,
      });
    });
  },
};

async function openCollection(device: Device, contrasts: readonly Contrast[], { input, settings }: Context) {
  const { model, tokenizer } = await loadModelAndTokenizer(device, input("model"), input("tokenizer"));
  const { layers, encoder } = await smallDictionaries(device, input("saes"), settings.dictionaries);
  const { bosId, contextLength } = model.config;
  const reading: Reading = {
    tokenizer,
    prefixIds: prefixOf({ ...settings, bosId }),
    most: Math.min(settings.maxTokens, contextLength),
    padId: tokenizer.padId ?? tokenizer.eosId ?? 0,
  };
  const sequences = sequencesOf[settings.reads](contrasts, reading);
  const encoders = { features: encoder, activations: rawActivations(encoder) };
  const options = { device, model, tokenizer, layers, encoders, multiToken: "average" } as const;
  return { collection: new FeatureCollection({ sequences }, options), sequences };
}

interface Reading {
  readonly tokenizer: Tokenizer;
  readonly prefixIds: readonly number[];
  /** Most tokens of a text. */
  readonly most: number;
  readonly padId: number;
}

const sequencesOf = {
  answers: (contrasts: readonly Contrast[], reading: Reading): AnswerSequence[] =>
    spansOf(contrasts).map((span, row) => answerSequence(span, row, reading)),
  published: (contrasts: readonly Contrast[], reading: Reading): AnswerSequence[] =>
    publishedSequences(spansOf(contrasts).slice(0, 2 * contrasts.length), { ...reading, classes: 2 }),
} as const;
