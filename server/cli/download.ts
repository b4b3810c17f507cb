import type { DownloadProgress } from "../models/hub.ts";
import { option } from "./options.ts";

export const downloadOption = option.flag(
  "fetch what is missing of a hub model into the Hugging Face cache; nothing is fetched otherwise",
);

/** Returns a callback that notes one line per file, and then one at each tenth of its size. */
export function progressNotes(note: (line: string) => void): (progress: DownloadProgress) => void {
  let last = "";
  return ({ file, bytes, totalBytes }) => {
    const tenths = totalBytes === 0 ? 10 : Math.floor((10 * bytes) / totalBytes);
    const line = `downloading ${file}: ${tenths * 10} % of ${(totalBytes / 1e6).toFixed(0)} MB`;
    if (line !== last) note(line);
    last = line;
  };
}
