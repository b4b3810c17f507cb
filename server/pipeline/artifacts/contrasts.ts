import { type Contrast, contrastSchema } from "../../tasks/contrast.ts";
import { readJsonLines } from "./json-files.ts";

/** File of the `contrasts` stage. */
export const contrastsFile = "contrasts.jsonl";

export function readContrasts(folder: string): Promise<Contrast[]> {
  return readJsonLines(folder, contrastsFile, contrastSchema);
}
