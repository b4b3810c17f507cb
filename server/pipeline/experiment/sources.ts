/** Sources of texts. */
import { z } from "zod";
import { parseHubReference } from "../../models/hub.ts";
import { dataFileEndings } from "../data/rows.ts";

const fileSource = z
  .strictObject({
    file: z
      .string()
      .refine((path) => dataFileEndings.some((ending) => path.toLowerCase().endsWith(ending)), {
        error: `must end in ${dataFileEndings.join(", ")}`,
      })
      .describe(`A file with one text a row (${dataFileEndings.join(", ")}); relative to the experiment file.`),
  })
  .readonly()
  .describe("A file of your own.");

const hubSource = z
  .strictObject({
    hub: z
      .string()
      .refine(isHubReference, { error: "must be a hub id: owner/name or owner/name@revision" })
      .describe("Id of a data set on the Hugging Face hub, owner/name[@branch, tag or commit]."),
    split: z.string().min(1).describe("Split of the data set, such as train."),
    config: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe("Configuration (the hub's viewer calls it subset); null: the default one."),
  })
  .readonly()
  .describe("A split of a data set on the hub.");

/** One source of texts. */
export const sourceSchema = z
  .union([z.literal("starter").describe("The 2,500 reviews that come with the program."), fileSource, hubSource])
  .describe('Where the texts come from: "starter", { "file": ... } or { "hub": ..., "split": ... }.');
export type TextSource = z.output<typeof sourceSchema>;

/** Fields of every source of texts. */
export const textsFields = {
  source: sourceSchema,
  field: z.string().min(1).default("text").describe("The field or column that holds the text."),
  limit: z
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe("The most texts to use, drawn from all by the seed; null: all of them."),
};

function isHubReference(reference: string): boolean {
  try {
    parseHubReference(reference, "dataset");
    return true;
  } catch {
    return false;
  }
}
