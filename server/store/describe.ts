/** A store's contents in a few numbers, for choosing from it. */
import { z } from "zod";
import type { DescribeStore } from "../protocol/features.ts";
import type { ResultOf } from "../protocol/message.ts";
import { dictionaryOfSpace } from "./feature-number.ts";
import { labelsInUse } from "./query.ts";
import { allRows, type Statements } from "./rows.ts";

const countSchema = z.object({ space: z.int(), layer: z.int(), features: z.int(), alive: z.int() });

/** The dictionaries of a store, with how many features of each are alive, and the labels in use. */
export function describeStore(statements: Statements): Omit<ResultOf<typeof DescribeStore>, "earlier"> {
  const sql = `SELECT space, layer, count(*) AS features, sum(density > 0) AS alive FROM features GROUP BY space, layer ORDER BY space, layer`;
  const counts = allRows(statements.get(sql), countSchema);
  const dictionaries = [...Map.groupBy(counts, ({ space }) => space)].map(([space, layers]) => ({
    ...dictionaryOfSpace(space),
    layers: layers.map(({ layer }) => layer),
    features: layers.reduce((sum, { features }) => sum + features, 0),
    alive: layers.reduce((sum, { alive }) => sum + alive, 0),
  }));
  return { dictionaries, labels: labelsInUse(statements).map(({ label }) => label) };
}
