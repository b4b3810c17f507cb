import { type MeanInterval, meanInterval } from "../../common/mean-interval.ts";
import type { Device } from "../../engine/device.ts";
import { type LoadedModel, loadModel, notesOn } from "../../models/checkpoint.ts";
import { type Reward, scoresOf } from "../../rewards/reward.ts";
import type { RewardKinds } from "../../rewards/rewards.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { type EvaluatedPair, evaluatePair } from "../../tuning/evaluate.ts";
import { makePrompts } from "../../tuning/prompts.ts";
import type { TunerInput, TunerTable } from "../../tuning/tuner.ts";
import { tuners } from "../../tuning/tuners.ts";
import type { TuningOf } from "../../tuning/tuning-kind.ts";
import type { TuningKinds } from "../../tuning/tunings.ts";
import { evaluationFile, pairsSchema } from "../artifacts/evaluation.ts";
import { readJsonLines, writeJson } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { heldOutTexts, sourceText, tuningTexts } from "../artifacts/texts.ts";
import { type CompletionSettings, type EditSettings, type Feedback, feedback, type RewardOf } from "../feedback.ts";

/** Settings with feedback of one of the kinds R and tuning of one of the kinds K. */
export interface TuneSettings<R = RewardKinds, K = TuningKinds> extends CompletionSettings {
  readonly tuning: TuningOf<K>;
  readonly reward: RewardOf<R> & EditSettings;
}

type OpenReward<R> = Pick<Feedback<R, unknown>, "rewardOf">;

/** Fine-tunes the model; the output is a Hugging Face checkpoint. */
export const tuneStage = tuneStageOf(feedback, tuners);

/** The same for feedback and tuning of other kinds. */
export function tuneStageOf<R, K>(
  { rewardOf }: OpenReward<R>,
  table: TunerTable<K>,
): Stage<TuneSettings<R, K>, "model" | "texts"> {
  return {
    name: "tune",
    codeVersion: 2,
    run: async (context) => {
      const { judged, reward } = context.settings;
      const open = (device: Device): Promise<Reward> => rewardOf(reward, judged, device);
      await tuneModel(context, open, table, await tuningTextsOf(context.input("texts")));
    },
  };
}

/** What is tuned on: the texts of the data, or its pairs. */
export type TuningData = Pick<TunerInput, "texts" | "pairs">;

/** The texts that a run on texts tunes on. */
export async function tuningTextsOf(folder: string): Promise<TuningData> {
  return { texts: (await readJsonLines(folder, tuningTexts, sourceText)).map(({ text }) => text), pairs: [] };
}

/** Tunes as `tuneStage` does, on the data and the reward that the caller gives. */
export async function tuneModel<K>(
  context: StageContext<Pick<TuneSettings<never, K>, "tuning" | "sampling" | "text">, "model" | "texts">,
  openReward: (device: Device) => Promise<Reward>,
  table: TunerTable<K>,
  data: TuningData,
): Promise<void> {
  const { settings, input, random, resumed, signal } = context;
  const { tuning, sampling, text } = settings;
  await withDevice(context, async (device) => {
    const { model: reference, tokenizer } = await loadModelAndTokenizer(device, input("model"));
    const loadPolicy = (): Promise<LoadedModel> => loadModel(device, input("model"), { isTrained: true });
    for (const note of notesOn(reference)) context.message(note);
    const onPrepared: TunerInput["onPrepared"] = async ({ done, total, unit }, capture) => {
      context.progress(done, total, unit);
      await context.stepDone(capture);
    };
    await using reward = await openReward(device);
    const models = { device, reference, loadPolicy, tokenizer, reward };
    const given = { ...models, ...data, sampling, text, random, signal, onPrepared };
    await using tuner = await table[tuning.kind](given, tuning, resumed);
    if (tuner.done === 0) context.log({ measures: tuner.measures });
    while (tuner.done < tuner.steps) {
      const { metrics, shown } = await tuner.step();
      context.log({ ...metrics, ...shown });
      context.progress(tuner.done, tuner.steps, "steps");
      await context.stepDone(() => tuner.capture());
    }
    await tuner.save(context.output);
  });
}

/** Settings with feedback of one of the kinds R. */
export interface EvaluateSettings<R = RewardKinds> extends CompletionSettings, EditSettings {
  readonly reward: RewardOf<R>;
  /** Maximum number of held-out prompts. */
  readonly prompts: number;
  /** Number of pairs of completions to save for display. */
  readonly samples: number;
}

type EvaluateContext<R> = StageContext<EvaluateSettings<R>, "model" | "tuned" | "texts">;

/** Evaluates the rewards of base and tuned model on held-out prompts, paired. */
export const evaluateStage = evaluateStageOf(feedback);

/** The same for feedback of other kinds. */
export function evaluateStageOf<R>(rewards: OpenReward<R>): Stage<EvaluateSettings<R>, "model" | "tuned" | "texts"> {
  return { name: "evaluate", codeVersion: 1, run: (context) => evaluateModels(context, rewards) };
}

async function evaluateModels<R>(context: EvaluateContext<R>, { rewardOf }: OpenReward<R>): Promise<void> {
  const { settings, random, resumed } = context;
  const { sampling, text } = settings;
  await withDevice(context, async (device) => {
    const { model: base, tokenizer } = await loadModelAndTokenizer(device, context.input("model"));
    const tuned = await loadModel(device, context.input("tuned"));
    const texts = await readJsonLines(context.input("texts"), heldOutTexts, sourceText);
    const options = { ...sampling, ...text, bosId: base.config.bosId };
    const prompts = makePrompts(
      texts.map((one) => one.text),
      tokenizer,
      options,
      random.fork("prompts"),
    ).slice(0, settings.prompts);
    await using reward = await rewardOf(settings.reward, settings.judged, device);
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
      sampling,
      text,
      random,
      signal: context.signal,
      ...(resumed === undefined ? {} : { known: pairsSchema.parse(resumed.state) }),
      onBatch,
    });
    await writeJson(context.output, evaluationFile, {
      prompts: prompts.length,
      ...summary,
      samples: pairs.slice(0, settings.samples),
      ...(await underEdits(pairs, settings, (edited) => rewardOf(edited, settings.judged, device))),
      ...(await byParts(pairs, reward)),
    });
  });
}

/** The completions' rewards under the edited reward of tuning, if there are edits. */
async function underEdits<R>(
  pairs: readonly EvaluatedPair[],
  { reward: settings, edits = [] }: EvaluateSettings<R>,
  open: (edited: RewardOf<R> & EditSettings) => Promise<Reward>,
): Promise<{ readonly edited?: Compared }> {
  if (edits.length === 0) return {};
  await using reward = await open({ ...settings, edits });
  return { edited: await comparedBy(reward, pairs) };
}

type Compared = Readonly<Record<"base" | "tuned" | "difference", MeanInterval>>;

/** The completions' rewards by each part of a reward that weighs several. */
async function byParts(
  pairs: readonly EvaluatedPair[],
  { parts = [] }: Reward,
): Promise<{ readonly parts?: readonly (Compared & { readonly name: string; readonly weight: number })[] }> {
  if (parts.length === 0) return {};
  const found = [];
  for (const { name, weight, reward } of parts) found.push({ name, weight, ...(await comparedBy(reward, pairs)) });
  return { parts: found };
}

async function comparedBy(reward: Reward, pairs: readonly EvaluatedPair[]): Promise<Compared> {
  const scored = async (model: "base" | "tuned"): Promise<number[]> => [
    ...(await scoresOf(
      reward,
      pairs.map((pair) => ({ prompt: pair.prompt, completion: pair[model].completion })),
    )),
  ];
  const [base, tuned] = [await scored("base"), await scored("tuned")];
  return {
    base: meanInterval(base),
    tuned: meanInterval(tuned),
    difference: meanInterval(tuned.map((value, at) => value - (base[at] ?? 0))),
  };
}
