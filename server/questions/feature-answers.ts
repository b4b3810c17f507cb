/** Answers about features. */
import { FeatureQuery } from "../protocol/features.ts";
import type { QuestionInput } from "../protocol/questions.ts";
import { asColumns, featureText, rowCells, rowHead } from "./feature-text.ts";
import { findRun, type Sources } from "./sources.ts";

export async function featuresAnswer(input: QuestionInput<"features">, sources: Sources): Promise<string> {
  const { search, layer, sort, count, offset } = input;
  const query = FeatureQuery.parse({ search, layers: layer === undefined ? [] : [layer], sort });
  const folder = await findRun(sources, input.run);
  const { total, rows } = await sources.useStore(folder, (store) => store.query(query, { offset, count }));
  const range = rows.length === 0 ? "none" : `${offset + 1} to ${offset + rows.length}`;
  return [`Run ${folder}`, asColumns(rowHead, rows.map(rowCells)), "", `${range} of ${total} features`].join("\n");
}

export async function featureAnswer(input: QuestionInput<"feature">, sources: Sources): Promise<string> {
  const folder = await findRun(sources, input.run);
  const text = await sources.useStore(folder, (store) =>
    featureText(store.need(input.id), store.meta("task"), input.examples),
  );
  return `Run ${folder}\n${text}`;
}
