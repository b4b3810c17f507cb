import type { FeatureDetail } from "../protocol/features.ts";
import { featureText } from "../questions/feature-text.ts";
import type { Annotation } from "../store/store.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option, type ValuesOf } from "./options.ts";
import { isStoreFile, openRunFeatures, tellDamage } from "./run-features.ts";

const options = {
  examples: option.integer("examples of each kind", 6, { min: 0, max: 50 }),
  note: option.text("TEXT", "replace the note; an empty one removes it"),
  "add-label": option.texts("LABEL", "give it this label"),
  "remove-label": option.texts("LABEL", "take this label off"),
  pin: option.flag("pin it"),
  unpin: option.flag("pin it no longer"),
};

export const feature = defineCommand({
  usage: "RUN FEATURE [options]",
  about:
    "Shows one feature: its numbers, the tokens that it promotes and suppresses, its twins, explanations, what removing it does, and examples with the " +
    "strongest token in brackets. FEATURE is written L4/F43 (layer, feature of the tuned model's small dictionary), L4/F43@big, or base:L4/F43.\n\n" +
    "With --note, --add-label, --remove-label, --pin or --unpin it keeps what you say about the feature first; a rebuild of the run leaves that alone.",
  options,
  positionals: ["RUN", "FEATURE"],
  run: async ({ options: chosen, positionals: [run = "", id = ""], note }): Promise<CommandResult> => {
    using store = await openRunFeatures(run);
    const before = store.need(id);
    const annotation = annotationOf(chosen, before);
    if (annotation !== undefined && isStoreFile(run))
      throw new UsageError(`${run} is a store by itself, which is only read; give the run to write about its features`);
    if (annotation !== undefined) store.annotate(id, annotation);
    const detail = annotation === undefined ? before : store.need(id);
    tellDamage(store, note);
    return { json: { store: store.path, ...detail }, text: featureText(detail, store.meta("task"), chosen.examples) };
  },
});

function annotationOf(chosen: ValuesOf<typeof options>, { row }: FeatureDetail): Annotation | undefined {
  const { note, pin, unpin } = chosen;
  const [added, removed] = [chosen["add-label"], chosen["remove-label"]];
  if (pin && unpin) throw new UsageError("--pin and --unpin were both given");
  const wrong = added.find((label) => label.length === 0 || label.length > 100);
  if (wrong !== undefined) throw new UsageError(`--add-label has ${wrong.length} characters; expected 1 to 100`);
  if ((note?.length ?? 0) > 10_000) throw new UsageError("--note has more than 10000 characters");
  const labels =
    added.length + removed.length === 0
      ? undefined
      : [...new Set([...row.labels, ...added])].filter((label) => !removed.includes(label));
  const pinned = pin ? true : unpin ? false : undefined;
  return note === undefined && labels === undefined && pinned === undefined ? undefined : { note, labels, pinned };
}
