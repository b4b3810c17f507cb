import { type MeanInterval, meanInterval } from "../../common/mean-interval.ts";
import { loadModel } from "../../models/checkpoint.ts";
import type { RewardFunction } from "../../rewards/reward.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { type EvaluatedPair, evaluatePair } from "../../tuning/evaluate.ts";
import { createPpoTrainer, type PpoSample, type PpoStep } from "../../tuning/ppo.ts";
import type { PpoConfig } from "../../tuning/ppo-config.ts";
import { makePrompts } from "../../tuning/prompts.ts";
import { evaluationFile, pairsSchema } from "../artifacts/evaluation.ts";
import { readJsonLines, writeJson } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { heldOutTexts, sourceText, tuningTexts } from "../artifacts/texts.ts";
import { type EditSettings, type RewardSettings, rewardOf } from "../feedback.ts";

export interface TuneSettings {
  readonly ppo: PpoConfig;
  readonly reward: RewardSettings & EditSettings;
}

/** Fine-tunes the model with PPO; the output is a Hugging Face checkpoint. */
export const tuneStage: Stage<TuneSettings, "model" | "texts"> = {
  name: "tune",
  codeVersion: 1,
  run: (context) => tuneModel(context, rewardOf(context.settings.reward)),
};

/** What `tuneStage` does, on a reward of the caller's. */
export async function tuneModel(
  context: StageContext<Pick<TuneSettings, "ppo">, "model" | "texts">,
  reward: RewardFunction,
): Promise<void> {
  const { settings, random, resumed } = context;
  await withDevice(context, async (device) => {
    const { model: policy, tokenizer } = await loadModelAndTokenizer(device, context.input("model"));
    const reference = await loadModel(device, context.input("model"));
    const texts = await readJsonLines(context.input("texts"), tuningTexts, sourceText);
    const options = { ...settings.ppo, bosId: policy.config.bosId };
    const prompts = makePrompts(
      texts.map(({ text }) => text),
      tokenizer,
      options,
      random.fork("prompts"),
    );
    const trainer = await createPpoTrainer({
      device,
      policy,
      reference,
      tokenizer,
      reward,
      prompts,
      config: settings.ppo,
      random,
    });
    if (resumed !== undefined) await trainer.restore(resumed);
    while (!trainer.done) {
      const step = await trainer.step();
      context.log(lineOf(step));
      context.progress(trainer.steps, settings.ppo.steps, "steps");
      await context.stepDone(() => trainer.state());
    }
    await trainer.save(context.output);
  });
}

export interface EvaluateSettings extends EditSettings {
  readonly ppo: PpoConfig;
  readonly reward: RewardSettings;
  /** Held-out prompts at most. */
  readonly prompts: number;
  /** Pairs of completions that are kept to be shown. */
  readonly samples: number;
}

/** Rewards of base and tuned model on held-out prompts, pair by pair. */
export const evaluateStage: Stage<EvaluateSettings, "model" | "tuned" | "texts"> = {
  name: "evaluate",
  codeVersion: 1,
  run: async (context) => {
    const { settings, random, resumed } = context;
    await withDevice(context, async (device) => {
      const { model: base, tokenizer } = await loadModelAndTokenizer(device, context.input("model"));
      const tuned = await loadModel(device, context.input("tuned"));
      const texts = await readJsonLines(context.input("texts"), heldOutTexts, sourceText);
      const options = { ...settings.ppo, bosId: base.config.bosId };
      const prompts = makePrompts(
        texts.map(({ text }) => text),
        tokenizer,
        options,
        random.fork("prompts"),
      ).slice(0, settings.prompts);
      const reward = rewardOf(settings.reward);
      const onBatch = async (pairs: readonly EvaluatedPair[]): Promise<void> => {
        context.progress(pairs.length, prompts.length, "prompts");
        await context.stepDone(() => ({ state: pairs }));
      };
      const { pairs, ...summary } = await evaluatePair({
        device,
        base,
        tuned,
        tokenizer,
        reward,
        prompts,
        config: settings.ppo,
        random,
        ...(resumed === undefined ? {} : { known: pairsSchema.parse(resumed.state) }),
        onBatch,
      });
      await writeJson(context.output, evaluationFile, {
        prompts: prompts.length,
        ...summary,
        samples: pairs.slice(0, settings.samples),
        ...underEdits(pairs, settings),
      });
    });
  },
};

/** What tuning was told that the completions are worth, where that is not what they are worth. */
function underEdits(
  pairs: readonly EvaluatedPair[],
  { ppo, reward, edits = [] }: EvaluateSettings,
): { readonly edited?: Readonly<Record<"base" | "tuned" | "difference", MeanInterval>> } {
  if (edits.length === 0) return {};
  const { score } = rewardOf({ ...reward, edits });
  const scored = pairs.map(({ prompt, base, tuned }) => {
    const rewardFor = ({ completion }: { readonly completion: string }): number =>
      score(ppo.rewardText === "full" ? prompt + completion : completion).reward;
    return { base: rewardFor(base), tuned: rewardFor(tuned) };
  });
  return {
    edited: {
      base: meanInterval(scored.map(({ base }) => base)),
      tuned: meanInterval(scored.map(({ tuned }) => tuned)),
      difference: meanInterval(scored.map(({ base, tuned }) => tuned - base)),
    },
  };
}

/** Metrics of a step, and the best and the worst completion to look at. Times stay out: the log is the same whenever it is written. */
function lineOf({ metrics, samples }: PpoStep): Record<string, number | string | null> {
  const byReward = samples.toSorted((a, b) => b.reward - a.reward);
  const shown = (sample: PpoSample | undefined): string =>
    sample === undefined ? "" : `${sample.prompt} → ${sample.completion}`;
  return { ...metrics, best: shown(byReward[0]), worst: shown(byReward.at(-1)) };
}
