import type { FeatureDetail } from "../protocol/features.ts";
import type { Annotation, FeatureStore } from "../store/store.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option, type ValuesOf } from "./options.ts";
import {
  asColumns,
  exampleLine,
  explanationLine,
  isStoreFile,
  oneLine,
  openRunFeatures,
  shown,
  tellDamage,
} from "./run-features.ts";

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
    return { json: { store: store.path, ...detail }, text: describe(detail, store, chosen.examples) };
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

function describe(detail: FeatureDetail, store: FeatureStore, count: number): string {
  const { row, baseTwin, promotes, suppresses } = detail;
  const task = store.meta("task");
  const twin = (found: FeatureDetail["baseTwin"]): string =>
    found === null ? "none" : `${found.id} (cosine ${shown(found.cosine)})`;
  const effects = (list: FeatureDetail["promotes"]): string =>
    list.map(({ token, logit }) => `${oneLine(token)} ${shown(logit)}`).join("  ");
  const facts: readonly (readonly [string, string])[] = [
    [
      "active",
      `${detail.activeTokens} of ${detail.tokens} tokens (${shown(100 * row.density)} %), at most ${shown(row.maxActivation)}`,
    ],
    [
      "probe",
      row.probeWeight === null
        ? "does not read it"
        : `weight ${shown(row.probeWeight)}, mean contribution ${shown(row.contribution)}`,
    ],
    ["twin", twin(row.twin)],
    ["base", twin(baseTwin)],
    ["promotes", effects(promotes)],
    ["suppresses", effects(suppresses)],
    ["histogram", `${row.histogram.join(" ")} (active tokens, from 0 to the maximum)`],
    ...(row.labels.length === 0 ? [] : [["labels", row.labels.map(oneLine).join(", ")] as const]),
    ...(detail.note === "" ? [] : [["note", oneLine(detail.note)] as const]),
    ...(detail.annotatedEarlier
      ? [["", "labels, note or pin are about an earlier dictionary of this run"] as const]
      : []),
    ...(task === undefined ? [] : [["task", oneLine(task)] as const]),
  ];
  return [
    `${row.id}${row.pinned ? " *" : ""}`,
    ...facts.map(([name, said]) => `  ${name.padEnd(12)}${said}`),
    ...section("Explanations", detail.explanations.map(explanationLine)),
    ...section("Ablations", ablationLines(detail)),
    ...detail.examples.flatMap(({ group, examples }) =>
      section(groupTitles[group], examples.slice(0, count).map(exampleLine)),
    ),
  ].join("\n");
}

const groupTitles: { readonly [G in FeatureDetail["examples"][number]["group"]]: string } = {
  top: "Strongest",
  q4: "Strong quarter",
  q3: "Second quarter",
  q2: "Third quarter",
  q1: "Weak quarter",
  silent: "The same words, silent",
};

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)];
}

function ablationLines({ ablations }: FeatureDetail): string[] {
  if (ablations.length === 0) return [];
  const rows = ablations.map(({ what, factor, prompts, change, low, high }) =>
    [what, shown(factor), String(prompts), shown(change), shown(low), shown(high)].map(String),
  );
  return asColumns(["what", "factor", "prompts", "change of the reward", "95 % low", "95 % high"], rows).split("\n");
}
