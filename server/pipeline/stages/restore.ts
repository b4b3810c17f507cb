import { z } from "zod";
import { Random } from "../../common/random.ts";
import type { ModelParameter, ModelPart } from "../../models/architecture.ts";
import { modelParts } from "../../models/architecture.ts";
import { loadModel } from "../../models/checkpoint.ts";
import { parametersOf } from "../../models/model.ts";
import { openParameters } from "../../models/parameters.ts";
import { assertMatchesVocabulary, loadTokenizer } from "../../models/tokenizer.ts";
import type { Stage } from "../../runs/stage.ts";
import { divergenceOf, type ParameterChange, parameterChanges } from "../../sae/divergence.ts";
import { makePrompts } from "../../tuning/prompts.ts";
import { measureRestored, type RestoredPart } from "../../tuning/restore.ts";
import { divergenceFile, divergenceSchema } from "../artifacts/divergence.ts";
import { readJson, readJsonLines, writeJson } from "../artifacts/json-files.ts";
import { withDevice } from "../artifacts/loading.ts";
import { type Restore, restoreFile, restoreSchema } from "../artifacts/restore.ts";
import { heldOutTexts, sourceText } from "../artifacts/texts.ts";
import { type CompletionSettings, type RewardSettings, rewardOf } from "../feedback.ts";
import { evaluateStage } from "./tune.ts";

export interface RestoreSettings extends CompletionSettings {
  readonly reward: RewardSettings;
  /** Maximum number of held-out prompts. */
  readonly prompts: number;
  readonly seed: number;
}

/**
 * Measures which parts of the weights carry the gain: restores each to the base model's, on the prompts of the
 * evaluation.
 */
export const restoreStage: Stage<RestoreSettings, "model" | "tuned" | "texts" | "divergence"> = {
  name: "restore",
  codeVersion: 1,
  run: async (context) => {
    const { settings, input, resumed } = context;
    const { sampling, text } = settings;
    const { chosen } = await readJson(input("divergence"), divergenceFile, divergenceSchema);
    await using base = await openParameters(input("model"));
    await using after = await openParameters(input("tuned"));
    const { config } = base;
    const changes = await parameterChanges(base, after, parametersOf(config));
    const parts = partsOf(changes, chosen);
    await withDevice(context, async (device) => {
      const tokenizer = await loadTokenizer(input("model"));
      assertMatchesVocabulary(tokenizer, config.vocabSize);
      const texts = await readJsonLines(input("texts"), heldOutTexts, sourceText);
      // The evaluation's own stream, so that prompts, lengths and random numbers are the same.
      const random = Random.fromSeed(settings.seed).fork(evaluateStage.name);
      const prompts = makePrompts(
        texts.map((one) => one.text),
        tokenizer,
        { ...sampling, ...text, bosId: config.bosId },
        random.fork("prompts"),
      ).slice(0, settings.prompts);
      await using reward = await rewardOf(settings.reward, settings.judged, device);
      const moved = parts.filter(({ changes: own }) => own.some(({ delta }) => delta > 0));
      const found = await measureRestored({
        device,
        tuned: await loadModel(device, input("tuned")),
        tokenizer,
        reward,
        prompts,
        sampling,
        text,
        random,
        signal: context.signal,
        before: (name) => base.readFloat32(name),
        parts: moved.map(({ id, changes: own }) => ({
          id,
          parameters: own.flatMap(({ name, delta }) => (delta > 0 ? [name] : [])),
        })),
        ...(resumed === undefined ? {} : { known: rewardsSchema.parse(resumed.state) }),
        onBatch: async (rewards) => {
          const done = Object.values(rewards.parts).reduce((sum, { length }) => sum + length, rewards.tuned.length);
          context.progress(done, (1 + moved.length) * prompts.length, "completions");
          await context.stepDone(() => ({ state: rewards }));
        },
      });
      const all = divergenceOf(changes).jointL2 ** 2;
      const result = {
        prompts: prompts.length,
        tuned: found.tuned,
        parts: parts.map((part) => rowOf(part, found, all)),
      };
      await writeJson(context.output, restoreFile, restoreSchema.parse(result));
    });
  },
};

const rewardsSchema = z.object({ tuned: z.array(z.number()), parts: z.record(z.string(), z.array(z.number())) });

interface Part {
  readonly id: string;
  readonly part: ModelPart;
  readonly studied: boolean;
  readonly changes: readonly ParameterChange[];
}

/** Every part of the architecture, and the MLPs of the studied layers unless these are all layers. */
function partsOf(changes: readonly ParameterChange[], chosen: readonly number[]): Part[] {
  const isStudied = ({ layer }: Pick<ModelParameter, "layer">): boolean =>
    layer !== undefined && chosen.includes(layer);
  const parts = modelParts.flatMap((part): Part[] => {
    const own = changes.filter((change) => change.part === part);
    const whole = { id: part, part, studied: false, changes: own };
    const some = { id: `${part}-studied`, part, studied: true, changes: own.filter(isStudied) };
    return part === "mlp" && some.changes.length < own.length ? [whole, some] : [whole];
  });
  return parts.filter(({ changes: own }) => own.length > 0);
}

function rowOf(
  { id, part, studied, changes }: Part,
  { tuned, parts }: Awaited<ReturnType<typeof measureRestored>>,
  all: number,
): Restore["parts"][number] {
  const { sumOfNorms, jointL2, relative } = divergenceOf(changes);
  const unmoved: Pick<RestoredPart, "reward" | "change"> = {
    reward: tuned,
    change: { count: tuned.count, mean: 0, sd: 0, low: 0, high: 0 },
  };
  const { reward, change } = parts.find((one) => one.id === id) ?? unmoved;
  const share = all === 0 ? null : jointL2 ** 2 / all;
  return { part, studied, parameters: changes.length, sumOfNorms, jointL2, relative, share, reward, change };
}
