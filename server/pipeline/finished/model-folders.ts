/** Folders of the models of a run. */
import { join } from "node:path";
import { exists } from "../../common/exists.ts";
import { resolveReference } from "../../models/open.ts";
import { type Experiment, givenModelOf } from "../experiment/schema.ts";

/** Folder of a model on this machine; downloads nothing. */
export async function modelFolder(reference: string): Promise<string> {
  return (await resolveReference(reference, { download: false })).folder;
}

/** Folder of a run's tuned model: in the run, or where the experiment says. */
export async function tunedFolderOf(runFolder: string, experiment: Experiment): Promise<string> {
  const given = givenModelOf(experiment);
  return given === undefined ? join(runFolder, "tuned") : await modelFolder(given);
}

/**
 * Folder of the tokenizer: the tuned model's; the base model's if the experiment names the tuned model, which may lack
 * one, as in the run.
 */
export async function tokenizerFolderOf(tunedFolder: string, experiment: Experiment): Promise<string> {
  const own = await exists(join(tunedFolder, "tokenizer.json"));
  return own && givenModelOf(experiment) === undefined ? tunedFolder : await modelFolder(experiment.model);
}
