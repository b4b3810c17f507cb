import { join } from "node:path";
import { z } from "zod";
import { Attributor, type Objective } from "../../ablate/attribution.ts";
import type { AblatedDictionary } from "../../ablate/edit.ts";
import type { Device } from "../../engine/device.ts";
import { loadModel } from "../../models/checkpoint.ts";
import { Generator } from "../../models/generate.ts";
import type { Model } from "../../models/model.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { FeatureStore } from "../../store/store.ts";
import { layOut, shapeOf } from "../../tuning/completion-batch.ts";
import { makePrompts, type Prompt } from "../../tuning/prompts.ts";
import { decodeText, sampleRollouts } from "../../tuning/rollout.ts";
import type { CompletionConfig } from "../../tuning/sampling-config.ts";
import { placeDictionaries, placeOfDictionary } from "../ablation/dictionaries.ts";
import { tokenValues } from "../ablation/token-values.ts";
import { arrayFiles, readDoubles } from "../artifacts/array-files.ts";
import {
  attributedFeatures,
  attributionFile,
  attributionSchema,
  type RunAttribution,
} from "../artifacts/attribution.ts";
import { featuresFile } from "../artifacts/features.ts";
import { readJson, readJsonLines, writeJson } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { sourceText, tuningTexts } from "../artifacts/texts.ts";
import { type RewardSettings, ratingsOf, rewardOf } from "../feedback.ts";

export interface AttributeSettings extends CompletionConfig {
  readonly reward: RewardSettings;
  /** Maximum number of prompts, from the tuning texts. */
  readonly prompts: number;
  /** `reward` if the feedback rates words; else the log-ratio. */
  readonly objective: Objective["kind"];
}

/**
 * `examples` is not read; it is a dependency because the run's store must have the features before it receives their
 * attributions.
 */
type Inputs = "model" | "tuned" | "texts" | "saes" | "examples";
type Context = StageContext<AttributeSettings, Inputs>;

/**
 * Which features carry what tuning raised: gradient times activation over completions of tuning prompts by the tuned
 * model.
 */
export const attributeStage: Stage<AttributeSettings, Inputs> = {
  name: "attribute",
  codeVersion: 2,
  run: async (context) => {
    const { settings, input } = context;
    await withDevice(context, async (device) => {
      const { model, tokenizer } = await loadModelAndTokenizer(device, input("tuned"), input("model"));
      const texts = await readJsonLines(input("texts"), tuningTexts, sourceText);
      const plain = texts.map(({ text }) => text);
      const options = { ...settings.sampling, ...settings.text, bosId: model.config.bosId };
      const prompts = makePrompts(plain, tokenizer, options, context.random.fork("prompts")).slice(0, settings.prompts);
      const dictionaries = await placeDictionaries(device, input("saes"));
      await attribute(context, { device, model, tokenizer, prompts, dictionaries });
    });
  },
};

interface Subject {
  readonly device: Device;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly prompts: readonly Prompt[];
  readonly dictionaries: readonly AblatedDictionary[];
}

/** Samples and attributes batch by batch; the sums so far are the checkpoint. */
async function attribute(context: Context, subject: Subject): Promise<void> {
  const { settings, resumed, progress, stepDone } = context;
  const { device, model, tokenizer, prompts, dictionaries } = subject;
  const { sampling } = settings;
  const shape = shapeOf(settings);
  const { promptPlaces: promptTokens, completionPlaces: maxNewTokens } = shape;
  const objective = await objectiveOf(context, subject);
  const generator = await Generator.create(device, model, {
    batch: sampling.rows,
    promptTokens,
    maxNewTokens,
    tokenizer,
    frozen: true,
  });
  const { temperature } = sampling;
  const attributor = await Attributor.create({ device, model, objective, dictionaries, shape, temperature });
  let done = 0;
  if (resumed !== undefined) {
    const { sums = new Float64Array() } = await readDoubles(resumed);
    attributor.restore(sums);
    done = z.object({ done: z.int() }).parse(resumed.state).done;
  }
  while (done < prompts.length) {
    const batch = prompts.slice(done, done + sampling.rows);
    const random = context.random.fork(`batch at ${done}`);
    const rollouts = await sampleRollouts(generator, batch, decodeText(tokenizer), sampling, random);
    await attributor.add(layOut(rollouts, shape));
    done += batch.length;
    progress(done, prompts.length, "prompts");
    await stepDone(() => ({ state: { done }, files: arrayFiles({ sums: attributor.captured }) }));
  }
  await write(context, attributor, objective);
  await attributor.dispose();
  await generator.dispose();
}

async function objectiveOf(
  { settings, input, message, signal }: Context,
  { device, model, tokenizer }: Subject,
): Promise<Objective> {
  if (settings.objective === "reward") {
    await using reward = await rewardOf(settings.reward, "completion", device);
    const ratings = ratingsOf(settings.reward);
    const values = ratings && (await tokenValues(tokenizer, { reward, ratings }, model.config.vocabSize, signal));
    if (values !== undefined) return { kind: "reward", values };
    message(
      "The feedback rates no word that is a single token: the log-ratio of tuned to base model is attributed instead.",
    );
  }
  return { kind: "logRatio", base: await loadModel(device, input("model"), { prefix: "base/" }) };
}

/** Adds the run's attributions to its writable store. */
export async function installAttributions(output: string, runRoot: string, key: string): Promise<void> {
  const attribution = await readJson(output, attributionFile, attributionSchema);
  using store = FeatureStore.open(join(runRoot, featuresFile));
  store.once("attribute", key, () => store.setAttributions(attributedFeatures(attribution)));
}

async function write({ output }: Context, attributor: Attributor, { kind }: Objective): Promise<void> {
  const { completions, tokens, objective: mean, dictionaries } = attributor.result();
  const found: RunAttribution = {
    objective: kind,
    completions,
    tokens,
    mean,
    dictionaries: [...dictionaries].map(([name, own]) => ({ ...placeOfDictionary(name), ...own })),
  };
  await writeJson(output, attributionFile, attributionSchema.parse(found));
}
