import { basename } from "node:path";
import type { AblationResult } from "../ablate/result.ts";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { requireOwner } from "../lens/ablation.ts";
import { readAblationSet } from "../lens/ablation-file.ts";
import { choices, chosenInStore } from "../pipeline/ablation/choose.ts";
import { ablateRun } from "../pipeline/finished/ablate-run.ts";
import { dictionariesIn } from "../pipeline/finished/run-identity.ts";
import { rankInWords } from "../pipeline/report/ablation-finding.ts";
import { rewardColumns, rewardRows } from "../pipeline/report/ablation-section.ts";
import { derivedNames, effectWords } from "../pipeline/report/ablation-words.ts";
import { AblationSet, parseFeatureId, type RunIdentity } from "../protocol/ablation.ts";
import { asColumns, shown } from "../questions/feature-text.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import { seedOf } from "./experiment-run.ts";
import { option } from "./options.ts";
import { openRunFeatures } from "./run-features.ts";
import { existingRun } from "./status.ts";
import { deviceOptions, withDevice } from "./with-device.ts";

const options = {
  set: option.text("FILE", "an ablation set (.lfp-ablation.json) instead of FEATURE"),
  choose: option.oneOf(
    "WHICH",
    "features of the small dictionaries instead of FEATURE: those that carry most of what tuning raised, that hold it down most, that are relevant by " +
      "their explanation, or that weigh most in the probe",
    choices,
    "none",
  ),
  features: option.integer("how many --choose takes, at most", 16, { min: 1, max: 500 }),
  factor: option.number("what the features named are multiplied by: 0 removes them, 2 doubles them", 0, {
    min: -100,
    max: 100,
  }),
  prompts: option.integer("held-out prompts, at most", 256, { min: 16, max: 100_000 }),
  completions: option.integer("completions of every prompt with the features removed", 1, { min: 1, max: 100 }),
  draws: option.integer("random sets of features to compare with", 19, { min: 0, max: 100 }),
  seed: option.text("N", "of prompts, completions and random sets (default: the run's)"),
  save: option.text("FILE", "also write the features named as an ablation set"),
  ...deviceOptions,
};

export const ablate = defineCommand({
  usage: "RUN (FEATURE... | --set FILE | --choose WHICH) [options]",
  about:
    "Removes features from a run's tuned model, or scales them, and measures what that does: to the task's reward on completions sampled as in tuning, to the " +
    "loss, and to the probe. Only the features' own contributions change; what the dictionary does not explain stays.\n\n" +
    "Controls: the features at their mean instead of zero, the reconstruction alone with nothing removed, random features that are active as often and as strongly, " +
    "and the same features in the base model, with the change of the gain of tuned over base. " +
    "All conditions complete the same prompts from the same random numbers, and changes are taken prompt by prompt, with 95 % intervals.",
  options,
  positionals: ["RUN", "[FEATURE...]"],
  run: async (given): Promise<CommandResult> => {
    const { options: chosen, signal, note } = given;
    const [run = "", ...ids] = given.positionals;
    const folder = await existingRun(run);
    checkOneChoice(given, ids);
    using store = await openRunFeatures(run);
    const named = chosen.choose === undefined ? ids : chosenInStore(store, chosen.choose, chosen.features);
    const owner = { name: basename(folder), dictionaries: await dictionariesIn(folder) };
    const set = await setOf(given, named, owner);
    if (chosen.save !== undefined) await writeFileAtomically(chosen.save, `${JSON.stringify(set, undefined, 2)}\n`);
    requireOwner(set, { runName: owner.name, dictionaries: owner.dictionaries });
    for (const { id } of set.features) store.need(id);
    const result = await withDevice({ ...chosen, signal, note, env: given.env }, (device) =>
      ablateRun({
        folder,
        device,
        store,
        features: set.features,
        prompts: chosen.prompts,
        draws: chosen.draws,
        completions: chosen.completions,
        seed: chosen.seed === undefined ? null : seedOf(chosen.seed),
        signal,
        onStep: (done, total) => note(`${done} of ${total} conditions`),
      }),
    );
    return { json: { folder, set, ...result }, text: asText(result) };
  },
});

/** Checks that exactly one option says what to ablate. Throws `UsageError`. */
function checkOneChoice({ options: chosen }: Given<typeof options>, ids: readonly string[]): void {
  const given = [
    ...(ids.length > 0 ? ["FEATURE"] : []),
    ...(chosen.set === undefined ? [] : ["--set"]),
    ...(chosen.choose === undefined ? [] : ["--choose"]),
  ];
  if (given.length > 1) throw new UsageError(`${given.join(" and ")} were both given; one of them says what to ablate`);
  if (given.length === 0) throw new UsageError("FEATURE is missing, or --set FILE, or --choose WHICH");
}

async function setOf(
  { options: chosen }: Given<typeof options>,
  ids: readonly string[],
  run: RunIdentity,
): Promise<AblationSet> {
  if (chosen.set !== undefined) {
    const set = await readAblationSet(chosen.set);
    if (set.features.length === 0) throw new UsageError(`${chosen.set} names no features; there is nothing to ablate`);
    return set;
  }
  for (const id of ids)
    if (parseFeatureId(id) === undefined)
      throw new UsageError(`${JSON.stringify(id.slice(0, 60))} is no feature; expected one such as L4/F43`);
  const features = [...new Set(ids)].map((id) => ({ id, factor: chosen.factor }));
  return AblationSet.parse({ format: "lfp-ablation/1", run, features });
}

function asText(result: AblationResult): string {
  const { features, prompts, completions, texts, triples, conditions, random, withoutRandom } = result;
  const cells = (values: readonly (string | number | null)[]): string[] =>
    values.map((value) => (typeof value === "string" ? value : shown(value)));
  const reward = asColumns(rewardColumns(result), rewardRows(result).map(cells));
  const { effect } = effectWords(result);
  const own = conditions.find(({ kind }) => kind === "this");
  const [loss, probe] = [own?.loss?.change, own?.probe?.change];
  const rank = random === null ? undefined : rankInWords(random);
  const beside = [
    ...(rank === undefined ? [] : [`Among the random sets the change of ${effect} is ${rank}.`]),
    ...(withoutRandom === undefined ? [] : [`Not compared with random features: ${withoutRandom}.`]),
    ...Object.entries(own?.derived ?? {}).flatMap(([name, { change }]) =>
      change === null
        ? []
        : [
            `Change of the ${derivedNames[name] ?? name}: ${shown(change.mean)} (${shown(change.low)} to ${shown(change.high)}).`,
          ],
    ),
    ...(loss === null || loss === undefined
      ? []
      : [
          `Loss: ${shown(loss.mean)} nats a token (${shown(loss.low)} to ${shown(loss.high)}) on ${texts} texts${beyondLoss(result)}.`,
        ]),
    ...(probe === null || probe === undefined
      ? []
      : [
          `Probe's separation of positive and negative words: ${shown(probe.mean)} (${shown(probe.low)} to ${shown(probe.high)}) over ${triples} triples.`,
        ]),
  ];
  const what = features
    .map(({ id, factor }) => `${id} ${factor === 0 ? "removed" : `times ${shown(factor)}`}`)
    .join(", ");
  const each = completions === 1 ? "" : `, ${completions} completions each`;
  return [`${what}; ${prompts} prompts${each}`, "", reward, "", ...beside].join("\n");
}

function beyondLoss({ random }: AblationResult): string {
  const loss = random?.loss ?? null;
  if (loss === null) return "";
  const { change, beyond } = loss;
  return `; random sets ${shown(change.mean)}, which leaves ${shown(beyond.mean)} (${shown(beyond.low)} to ${shown(beyond.high)}) beyond them`;
}
