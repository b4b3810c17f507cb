import { z } from "zod";
import { Pacer } from "../../common/pacer.ts";
import { type InTurn, sideBySide } from "../../common/side-by-side.ts";
import { loadModel } from "../../models/checkpoint.ts";
import { siteModuleOf } from "../../models/model.ts";
import { defaultSite, type Site } from "../../models/sites.ts";
import type { CheckpointContent, Stage, StageContext } from "../../runs/stage.ts";
import type { SubjectModel } from "../../sae/activation-buffer.ts";
import type { SaeConfig } from "../../sae/config.ts";
import { saveSae } from "../../sae/format.ts";
import {
  measureSaes,
  type QualityCounts,
  type QualityOptions,
  qualityCountsSchema,
  type SubjectSae,
} from "../../sae/quality.ts";
import { dictionarySimilarity } from "../../sae/similarity.ts";
import type { SaeKey } from "../../sae/step-program.ts";
import { createSaeTrainer, type SaeStep, type SaeTrainer } from "../../sae/trainer.ts";
import { arrayFiles, readFloats } from "../artifacts/array-files.ts";
import {
  type Autoencoders,
  qualityFile,
  qualitySchema,
  saeFolder,
  similaritySchema,
  smallAndBig,
} from "../artifacts/autoencoders.ts";
import { divergenceFile, divergenceSchema } from "../artifacts/divergence.ts";
import { readJson, readJsonLines, writeJson } from "../artifacts/json-files.ts";
import { isLarge, loadModelAndTokenizer, withDevices } from "../artifacts/loading.ts";
import { analysisTexts, sourceText } from "../artifacts/texts.ts";
import { prefixOf, tokenIdsOf } from "../artifacts/token-ids.ts";

export interface AutoencoderSettings {
  /** What is encoded; the usual site if it is not said. */
  readonly site?: Site;
  readonly sae: SaeConfig;
  readonly prependBos: boolean;
  /** The model's name in the files. */
  readonly modelName: string;
  /** Number of held-out texts, for measuring quality. */
  readonly qualityTexts: number;
}

type Context = StageContext<AutoencoderSettings, "model" | "tuned" | "texts" | "divergence">;

/** Trains pairs of autoencoders, of base and tuned model, on the chosen layers, and measures them. */
export const autoencodersStage: Stage<AutoencoderSettings, "model" | "tuned" | "texts" | "divergence"> = {
  name: "autoencoders",
  codeVersion: 4,
  run: async (context) => {
    // A model and its autoencoders are on one device, so that none is in memory twice.
    const most = (await isLarge(context.input("model"))) ? 1 : 2;
    await withDevices(context, most, async ([device, second = device]) => {
      const { model: base, tokenizer } = await loadModelAndTokenizer(device, context.input("model"));
      const tuned = await loadModel(second, context.input("tuned"));
      const { chosen } = await readJson(context.input("divergence"), divergenceFile, divergenceSchema);
      const texts = await readJsonLines(context.input("texts"), analysisTexts, sourceText);
      const { site = defaultSite, sae: config, prependBos, qualityTexts } = context.settings;
      const ids = tokenIdsOf(tokenizer, texts, { prependBos, bosId: base.config.bosId });
      const held = Math.min(qualityTexts, Math.floor(ids.length / 5));
      const models: Subject[] = [
        { name: "base", model: base, device },
        { name: "tuned", model: tuned, device: second },
      ];
      const trainer = await createSaeTrainer({
        device,
        models,
        layers: chosen,
        site,
        config,
        texts: ids.slice(held),
        random: context.random,
      });
      const heldTokens = tokensIn(ids.slice(0, held), config.contextLength);
      const measured = await train(trainer, models.length * heldTokens, context);
      const hasBos = prefixOf({ prependBos, bosId: base.config.bosId }).length > 0;
      const found = await measure(models, trainer, { texts: ids.slice(0, held), hasBos, measured, context });
      await writeJson(context.output, qualityFile, {
        trainingTokens: trainer.steps * config.batchTokens,
        steps: trainer.steps,
        ...found,
      });
      await trainer.dispose();
    });
  },
};

/** The tokens of texts that are cut to a length. */
function tokensIn(texts: readonly Int32Array[], contextLength: number): number {
  return texts.reduce((sum, { length }) => sum + Math.min(length, contextLength), 0);
}

/**
 * Trains to the end; returns the measurements in the checkpoint if the run was interrupted after training. Progress
 * counts `measuredTokens` after training too, so that the stage's runs once from 0 to 100 %.
 */
async function train(trainer: SaeTrainer, measuredTokens: number, context: Context): Promise<Measured> {
  const { resumed, log, progress, stepDone, settings } = context;
  let measured = nothingMeasured;
  if (resumed !== undefined) {
    const state = progressSchema.parse(resumed.state);
    await trainer.restore({ ...state, tensors: await readFloats(resumed) });
    measured = state.measured;
  }
  const trained = trainer.steps * settings.sae.batchTokens;
  for (let step = await trainer.step(); step !== undefined; step = await trainer.step()) {
    if (step.kind === "update") {
      if (step.step % logInterval === 0 || step.step === trainer.steps) log(lineOf(step));
      progress(step.step * settings.sae.batchTokens, trained + measuredTokens, "tokens");
    }
    await stepDone(() => capture(trainer, measured));
  }
  return measured;
}

async function capture(trainer: SaeTrainer, measured: Measured): Promise<CheckpointContent> {
  const { tensors, ...state } = await trainer.state();
  return { state: { ...state, measured }, files: arrayFiles(tensors) };
}

const measuredSchema = z.object({
  /** Results of finished models, by the model's name. */
  models: z.record(z.string(), z.array(qualitySchema)),
  /** Counts so far for the models that are being measured; checkpoints of older versions have none. */
  counted: z.record(z.string(), qualityCountsSchema).default({}),
});
type Measured = z.infer<typeof measuredSchema>;
const nothingMeasured: Measured = { models: {}, counted: {} };

const progressSchema = z.object({
  step: z.int(),
  random: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  measured: measuredSchema.default(nothingMeasured),
});
const logInterval = 10;

/** Every autoencoder's numbers, as columns named by its id. */
function lineOf({ step, tokens, metrics }: Extract<SaeStep, { kind: "update" }>): Record<string, number> {
  const columns = metrics.flatMap(({ id, loss, l0, fve, dead }) =>
    Object.entries({ loss, l0, fve, dead }).map(([name, value]) => [`${id}.${name}`, value]),
  );
  return { step, tokens, ...Object.fromEntries(columns) };
}

type Subject = SubjectModel & Required<Pick<SubjectModel, "device">>;

interface MeasureOptions {
  readonly texts: readonly Int32Array[];
  /** Whether each starts with the begin-of-text token. */
  readonly hasBos: boolean;
  readonly measured: Measured;
  readonly context: Context;
}

/** Saves all autoencoders and measures them, in one pass per model; models on several devices side by side. */
async function measure(
  models: readonly Subject[],
  trainer: SaeTrainer,
  { texts, hasBos, measured, context }: MeasureOptions,
): Promise<Pick<Autoencoders, "saes" | "similarities">> {
  const { contextLength, batchTokens } = context.settings.sae;
  const trained = trainer.steps * batchTokens;
  const held = tokensIn(texts, contextLength);
  const [done, counted] = [{ ...measured.models }, { ...measured.counted }];
  const read = new Map(models.map(({ name }) => [name, done[name] === undefined ? 0 : held]));
  const similarities = new Map<string, Autoencoders["similarities"]>();
  const measureModel = async (model: Subject, inTurn: InTurn): Promise<void> => {
    const { name } = model;
    const own = await saved(model, trainer, hasBos, context);
    similarities.set(name, await similaritiesOf(name, own, new Pacer(context.signal)));
    if (done[name] !== undefined) return;
    const onBatch = async (textsDone: number, counts: () => QualityCounts): Promise<void> => {
      // At once: a checkpoint may be made for another model while this one's next batch is counted.
      counted[name] = counts();
      read.set(name, tokensIn(texts.slice(0, textsDone), contextLength));
      const soFar = [...read.values()].reduce((sum, tokens) => sum + tokens, trained);
      context.progress(soFar, trained + models.length * held, "tokens");
      await inTurn(() => context.stepDone(() => capture(trainer, { models: done, counted })));
    };
    done[name] = await qualitiesOf(model, own, { texts, contextLength, known: counted[name], onBatch });
    delete counted[name];
  };
  const byDevice = [...Map.groupBy(models, ({ device }) => device).values()];
  await sideBySide(
    byDevice.map((there) => async (inTurn) => {
      for (const model of there) await measureModel(model, inTurn);
    }),
  );
  const inOrder = models.map(({ name }) => name);
  return {
    saes: inOrder.flatMap((name) => done[name] ?? []),
    similarities: inOrder.flatMap((name) => similarities.get(name) ?? []),
  };
}

/** A model's autoencoders, after writing them to their files. */
async function saved(
  model: SubjectModel,
  trainer: SaeTrainer,
  hasBos: boolean,
  context: Context,
): Promise<(SaeKey & SubjectSae)[]> {
  const { site = defaultSite } = context.settings;
  const own: (SaeKey & SubjectSae)[] = [];
  for (const key of trainer.saes)
    if (key.model === model.name) own.push({ ...key, site, sae: await trainer.sae(key.id) });
  for (const { layer, F, sae } of own)
    await saveSae(saeFolder(context.output, model.name, layer, F), sae, metadataOf(model, layer, hasBos, context));
  return own;
}

interface QualityPart extends Pick<QualityOptions, "texts" | "contextLength"> {
  readonly known: QualityCounts | undefined;
  readonly onBatch: (textsDone: number, counts: () => QualityCounts) => Promise<void>;
}

async function qualitiesOf(
  model: Subject,
  saes: readonly (SaeKey & SubjectSae)[],
  { known, ...part }: QualityPart,
): Promise<Autoencoders["saes"]> {
  const resumed = known === undefined ? {} : { known };
  const qualities = await measureSaes({ device: model.device, model, saes, ...part, ...resumed });
  // The feature store's own stage counts densities, over more texts.
  return qualities.map(({ density: _, ...quality }, at) =>
    qualitySchema.parse({ ...quality, model: model.name, layer: saes[at]?.layer, F: saes[at]?.F, D: saes[at]?.D }),
  );
}

/** The smallest dictionary of each layer against the largest. */
async function similaritiesOf(
  model: string,
  saes: readonly (SaeKey & SubjectSae)[],
  pacer: Pacer,
): Promise<Autoencoders["similarities"]> {
  const found: Autoencoders["similarities"] = [];
  for (const layer of new Set(saes.map((sae) => sae.layer))) {
    const [small, big] = smallAndBig(saes.filter((sae) => sae.layer === layer));
    if (small === undefined || big === undefined) continue;
    const { mean, matches } = await dictionarySimilarity(small.sae, big.sae, pacer);
    found.push(similaritySchema.parse({ model, layer, small: small.F, big: big.F, meanMaxCosine: mean, matches }));
  }
  return found;
}

function metadataOf({ name, model }: SubjectModel, layer: number, prependBos: boolean, { settings }: Context) {
  const { site = defaultSite } = settings;
  const place = { layer, site };
  return {
    modelName: settings.modelName,
    ...place,
    module: siteModuleOf(model.config, place),
    contextLength: settings.sae.contextLength,
    prependBos,
    dataset: null,
    extra: { lfp_model: name },
  };
}
