import { z } from "zod";
import { saveProbe } from "../../probe/format.ts";
import { evaluateProbe, type PartStore } from "../../probe/regression.ts";
import type { ProbeSettings } from "../../probe/report-types.ts";
import { countWords } from "../../tasks/sentiment/word-counts.ts";
import type { Stage, StageContext } from "../stage.ts";
import { readCollected } from "./collect.ts";
import { readJsonLines, sourceText, tuningTexts } from "./common.ts";
import { readTriples, type TaskSettings, taskOf } from "./triples.ts";

export interface ProbeStageSettings extends TaskSettings {
  readonly probe: ProbeSettings;
}

type Inputs = "texts" | "triples" | "tuned" | "base";
type Context = StageContext<ProbeStageSettings, Inputs>;

/** Fits the probe and holds it against its controls; the output is loadable with `loadProbe`. */
export const probeStage: Stage<ProbeStageSettings, Inputs> = {
  name: "probe",
  codeVersion: 2,
  run: async (context) => {
    const { settings, input, output } = context;
    const tuned = await readCollected(input("tuned"));
    const base = await readCollected(input("base"));
    const texts = await readJsonLines(input("texts"), tuningTexts, sourceText);
    const data = {
      triples: await readTriples(input("triples")),
      wordValues: taskOf(settings).wordValues,
      features: tuned.features,
      rawActivations: tuned.activations,
      baseModel: base.features,
      tuningCounts: countWords(texts.map(({ text }) => text)),
    };
    const { report, probe, testTriples, familiarity } = await evaluateProbe(data, settings.probe, partsOf(context));
    await saveProbe(output, {
      probe,
      report,
      testTriples,
      familiarity,
      about: { task: settings.task, lexicon: settings.reward.lexicon },
    });
  },
};

/** Finished parts are the stage's checkpoint. */
function partsOf({ resumed, stepDone, progress }: Context): PartStore {
  const parts = z.record(z.string(), z.unknown()).parse(resumed?.state ?? {});
  let done = 0;
  return {
    find: (name) => parts[name],
    save: async (name, result) => {
      parts[name] = result;
      done += 1;
      progress(done, done, "parts");
      await stepDone(() => ({ state: parts }));
    },
  };
}
