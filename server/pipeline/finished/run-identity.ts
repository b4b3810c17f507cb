import { type RunRecord, readRecord } from "../../runs/run-folder.ts";

/** Characters of a digest that identify a run's dictionaries in files that people read. */
const DIGEST_CHARACTERS = 16;

/** Digest of a run's finished dictionaries, see `RunIdentity`; null if the record has none. */
export function dictionariesOf(record: RunRecord | undefined): string | null {
  const stage = record?.stages.find(({ stage }) => stage === "autoencoders");
  const isFinished = stage?.status === "done" || stage?.status === "reused";
  return isFinished ? (stage.digest?.slice(0, DIGEST_CHARACTERS) ?? null) : null;
}

/** The same for a run's folder; null too if its record cannot be read. */
export async function dictionariesIn(folder: string): Promise<string | null> {
  return dictionariesOf(await readRecord(folder).catch(() => undefined));
}
