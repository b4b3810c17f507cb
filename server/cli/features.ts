import { earlierStores } from "../pipeline/finished/living-store.ts";
import { earlierInWords, FeatureQuery, FeatureSort } from "../protocol/features.ts";
import { asColumns, oneLine, rowCells, rowHead } from "../questions/feature-text.ts";
import type { FeatureStore } from "../store/store.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { isStoreFile, openRunFeatures, tellDamage } from "./run-features.ts";

export const features = defineCommand({
  usage: "RUN [options]",
  about:
    "Lists a run's features: how often each is active, the probe's weight, the mean contribution to the probe's output where it is active, how much of " +
    "what tuning raised it carries by attribution, the cosine with its twin in the other size, what removing it does to the reward, and its explanation with its score. A star marks pinned ones; labels stand in brackets.\n\n" +
    '--search looks in explanations, examples, labels and notes; it also takes F11 or L4 (a part of an id), and conditions such as "density<1%" and "contribution>0.5". RUN may also be a features.sqlite by itself, which is only read.',
  options: {
    search: option.text("TEXT", "only features whose texts hold all these words; the last may be a beginning"),
    layer: option.texts("N", "only features of this layer"),
    model: option.choice("MODEL", "whose dictionary", ["tuned", "base"], "tuned"),
    size: option.choice("SIZE", "which dictionary", ["small", "big"], "small"),
    sort: option.choice(
      "COLUMN",
      "order, signed numbers by their size, attributions by their value",
      FeatureSort.options,
      "contribution",
    ),
    rising: option.flag("smallest first"),
    relevant: option.flag("only features whose explanation is relevant to the task"),
    pinned: option.flag("only pinned features"),
    label: option.text("LABEL", "only features with this label"),
    annotated: option.flag("only features with a label, a note or a pin; prints the notes"),
    dead: option.flag("also features that were never active"),
    count: option.integer("rows", 40, { min: 1, max: 500 }),
    offset: option.integer("rows to pass over", 0, { min: 0 }),
  },
  positionals: ["RUN"],
  run: async ({ options: chosen, positionals: [run = ""], note }): Promise<CommandResult> => {
    using store = await openRunFeatures(run);
    const { count, offset } = chosen;
    const query = FeatureQuery.parse({
      search: chosen.search ?? "",
      dictionary: { model: chosen.model, size: chosen.size },
      layers: chosen.layer.map(layerOf),
      relevant: chosen.relevant ? true : null,
      pinned: chosen.pinned,
      label: chosen.label ?? null,
      annotated: chosen.annotated,
      includeDead: chosen.dead,
      sort: chosen.sort,
      descending: !chosen.rising,
    });
    const { total, rows } = store.query(query, { offset, count });
    const range = rows.length === 0 ? "none" : `${offset + 1} to ${offset + rows.length}`;
    const notes = chosen.annotated ? rows.flatMap(({ id }) => noteLines(store, id)) : [];
    tellDamage(store, note);
    const earlier = isStoreFile(run) ? [] : await earlierStores(store.path);
    const text = [
      asColumns(rowHead, rows.map(rowCells)),
      ...(notes.length === 0 ? [] : ["", ...notes]),
      "",
      `${range} of ${total} features`,
      ...earlier.map(
        (one) => `\n${oneLine(earlierInWords(one))}\nlfp features ${one.path} --annotated --dead lists them.`,
      ),
    ].join("\n");
    return { json: { store: store.path, total, offset, rows, earlier }, text };
  },
});

function noteLines(store: FeatureStore, id: string): string[] {
  const { note } = store.need(id);
  return note === "" ? [] : [`${id}: ${oneLine(note)}`];
}

function layerOf(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new UsageError(`--layer is ${JSON.stringify(text)}; expected a layer's number`);
  return Number(text);
}
