/**
 * Editor commands that the server links to in hovers, problems and quick fixes. The editor parses their argument before
 * it acts.
 */
import * as z from "zod";
import { FeatureId } from "./ablation.ts";
import { IgnoredWord } from "./problems.ts";

/** A command with the schema of its one argument. */
export interface EditorCommand<Argument extends z.ZodType> {
  readonly id: `lfpLens.${string}`;
  readonly argument: Argument;
}

/** Longest text that `copyText` accepts, in UTF-16 units. */
export const MAX_COPIED_UNITS = 4000;

const feature = z.object({ runFolder: z.string(), id: FeatureId });
const place = z.object({ uri: z.string(), start: z.int().min(0), end: z.int().min(0) });

/** Opens a feature's page. */
export const openFeature = defineCommand("lfpLens.openFeature", feature);
/** Adds a feature to the ablation set, with factor 0. */
export const ablateFeature = defineCommand("lfpLens.ablateFeature", feature);
/** Opens the page that says what the numbers mean. */
export const howToRead = defineCommand("lfpLens.howToRead", z.object({}).optional());
/** Lists the features that make up the number of the token at a place, in UTF-16 units of the document. */
export const showTokenFeatures = defineCommand("lfpLens.showTokenFeatures", place);
/** Adds an entry to the list of ignored words and sends the server the whole list (`lfp/configurationChanged`). */
export const ignoreWord = defineCommand("lfpLens.ignoreWord", IgnoredWord);

/** Lists the words that make up the margin of the pair at a place. */
export const showPairWords = defineCommand("lfpLens.showPairWords", place);
/** Lists the pairs of the document that were learned the other way than given. */
export const listPairs = defineCommand("lfpLens.listPairs", z.object({ uri: z.string() }).optional());

/** Copies a hover's number, or its whole text as Markdown. */
export const copyText = defineCommand("lfpLens.copyText", z.object({ text: z.string().max(MAX_COPIED_UNITS) }));

/** The only commands that a hover may link to. */
export const hoverCommands: readonly string[] = [openFeature.id, ablateFeature.id, howToRead.id, copyText.id];

/** A `command:` address for a Markdown link. */
export function commandLink<Argument extends z.ZodType>(
  { id, argument }: EditorCommand<Argument>,
  given: z.input<Argument>,
): string {
  const encoded = encodeURIComponent(JSON.stringify([argument.parse(given)]));
  // A parenthesis would end the link, and Markdown could read the others as markup.
  return `command:${id}?${encoded.replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)}`;
}

function defineCommand<Argument extends z.ZodType>(
  id: `lfpLens.${string}`,
  argument: Argument,
): EditorCommand<Argument> {
  return { id, argument };
}
