import { z } from "zod";
import { Attributor, type FeatureAttribution } from "../../ablate/attribution.ts";
import type { AblatedDictionary } from "../../ablate/edit.ts";
import type { Device } from "../../engine/device.ts";
import type { Model } from "../../models/model.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { layOut } from "../../tuning/completion-batch.ts";
import { episodesOf, shapesFor, smallestShape } from "../../tuning/pair-shapes.ts";
import type { PreferenceSettings } from "../../tuning/preference-settings.ts";
import { pairTokens } from "../../tuning/preference-tokens.ts";
import type { TokenPair } from "../../tuning/token-pair.ts";
import { placeDictionaries, placeOfDictionary } from "../ablation/dictionaries.ts";
import { arrayFiles, readDoubles } from "../artifacts/array-files.ts";
import { attributionFile, attributionSchema, type RunAttribution } from "../artifacts/attribution.ts";
import { writeJson } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import { readPairs, tuningPairs } from "../artifacts/pairs.ts";

export interface AttributePairsSettings {
  /** How pairs are read. */
  readonly preference: PreferenceSettings;
  /** Maximum number of pairs, of those that the run tuned on. */
  readonly pairs: number;
  readonly pairsAtOnce: number;
}

/** `examples` is not read, as for `attributeStage`. */
type Inputs = "model" | "tuned" | "texts" | "saes" | "examples";
type Context = StageContext<AttributePairsSettings, Inputs>;

/**
 * Which features carry the learned preference: gradient times activation of the margin of chosen over rejected answers,
 * on pairs that the run tuned on.
 */
export const attributePairsStage: Stage<AttributePairsSettings, Inputs> = {
  name: "attribute-pairs",
  codeVersion: 2,
  run: (context) =>
    withDevice(context, async (device) => {
      const { settings, input } = context;
      const { model, tokenizer } = await loadModelAndTokenizer(device, input("tuned"), input("model"));
      const records = (await readPairs(input("texts"), tuningPairs)).slice(0, settings.pairs);
      const pairs = records.flatMap((record) => {
        const made = pairTokens(record, tokenizer, settings.preference.tokens);
        return made.kind === "pair" ? [made.pair] : [];
      });
      const dictionaries = await placeDictionaries(device, input("saes"));
      await attribute(context, { device, model, dictionaries }, pairs);
    }),
};

interface Subject {
  readonly device: Device;
  readonly model: Model;
  readonly dictionaries: readonly AblatedDictionary[];
}

const placeSchema = z.object({ done: z.int() });

/** Attributes batch by batch, shape by shape; the sums so far are the checkpoint. */
async function attribute(context: Context, subject: Subject, pairs: readonly TokenPair[]): Promise<void> {
  const { settings, resumed, progress, stepDone } = context;
  let sums = resumed === undefined ? undefined : (await readDoubles(resumed))["sums"];
  const before = resumed === undefined ? 0 : placeSchema.parse(resumed.state).done;
  const shapes = shapesFor(pairs);
  let seen = 0;
  let result: ReturnType<Attributor["result"]> | undefined;
  for (const [shape, own] of Map.groupBy(pairs, (pair) => smallestShape(shapes, [pair]))) {
    const attributor = await Attributor.create({ ...subject, objective: { kind: "margin" }, shape, temperature: 1 });
    if (sums !== undefined) attributor.restore(sums);
    for (let start = 0; start < own.length; start += settings.pairsAtOnce) {
      const batch = own.slice(start, start + settings.pairsAtOnce);
      seen += batch.length;
      if (seen <= before) continue;
      const signs = Float32Array.from({ length: 2 * batch.length }, (_, row) => (row % 2 === 0 ? 1 : -1));
      await attributor.add({ ...layOut(batch.flatMap(episodesOf), shape), signs });
      const done = seen;
      progress(done, pairs.length, "pairs");
      await stepDone(() => ({ state: { done }, files: arrayFiles({ sums: attributor.captured }) }));
    }
    sums = attributor.captured.slice();
    result = attributor.result();
    await attributor.dispose();
  }
  if (result !== undefined) await write(context, result);
}

async function write({ output }: Context, result: ReturnType<Attributor["result"]>): Promise<void> {
  const { completions, tokens, objective: mean, dictionaries } = result;
  const placed = ([name, own]: [string, FeatureAttribution]) => ({ ...placeOfDictionary(name), ...own });
  const found: RunAttribution = {
    objective: "margin",
    completions,
    tokens,
    mean,
    dictionaries: [...dictionaries].map(placed),
  };
  await writeJson(output, attributionFile, attributionSchema.parse(found));
}
