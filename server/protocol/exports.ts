/** Runs as other programs take them: folders that a run is exported to. */
import * as z from "zod";
import { defineRequest } from "./message.ts";

/** What a run can be exported as. */
export const ExportKind = z.enum(["hub", "neuronpedia"]);
export type ExportKind = z.infer<typeof ExportKind>;

/** What each kind holds, in a title and a sentence. */
export const exportWords: { readonly [K in ExportKind]: { readonly title: string; readonly about: string } } = {
  hub: {
    title: "Model, dictionaries and report for the Hugging Face hub",
    about: "The tuned model or its adapter, dictionaries as SAELens loads them, report, experiment and a model card.",
  },
  neuronpedia: {
    title: "Features for Neuronpedia",
    about: "Features with examples and explanations, in the files that Neuronpedia imports.",
  },
};

/**
 * Exports a finished run into the folder `to`, which is created. Nothing leaves the machine. Refused in Restricted
 * Mode, for a run that is not done, and for a folder that holds anything but an unchanged export of this kind.
 */
export const ExportRun = defineRequest(
  "lfp/exportRun",
  z.object({ folder: z.string(), kind: ExportKind, to: z.string() }),
  z.object({
    folder: z.string(),
    files: z.int(),
    bytes: z.number(),
    /** What to know before the folder is passed on, a sentence each. */
    notes: z.array(z.string()),
  }),
);
