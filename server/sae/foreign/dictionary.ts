/** Dictionaries that other programs trained: one table of the formats that are read. */
import { readdir } from "node:fs/promises";
import { z } from "zod";
import { messageOf } from "../../common/errors.ts";
import { SaeFormatError } from "../errors.ts";
import { readSae } from "../format.ts";
import { readDictionaryLearning } from "./dictionary-learning.ts";
import { readGemmaScope, readGemmaScope2 } from "./gemma-scope.ts";
import type { ForeignDictionary } from "./origin.ts";
import { readSparsify } from "./sparsify.ts";

interface DictionaryFormat {
  /** The folder is of this format if it holds these files. */
  readonly files: readonly string[];
  readonly read: (folder: string) => Promise<ForeignDictionary>;
}

const formats: Readonly<Record<string, DictionaryFormat>> = {
  SAELens: { files: ["cfg.json", "sae_weights.safetensors"], read: readSaeLens },
  sparsify: { files: ["cfg.json", "sae.safetensors"], read: readSparsify },
  "Gemma Scope": { files: ["params.npz"], read: readGemmaScope },
  "Gemma Scope 2": { files: ["config.json", "params.safetensors"], read: readGemmaScope2 },
  dictionary_learning: { files: ["ae.pt"], read: readDictionaryLearning },
};

/** Reads the dictionary in a folder. Throws `SaeFormatError` and what `openSafetensors` throws. */
export async function openDictionary(folder: string): Promise<ForeignDictionary> {
  const found = await readdir(folder).catch((cause: unknown) => {
    throw new SaeFormatError(
      `${folder} cannot be read (${messageOf(cause)}): give a folder that holds one dictionary`,
      { cause },
    );
  });
  const format = Object.values(formats).find(({ files }) => files.every((name) => found.includes(name)));
  if (format === undefined) {
    const expected = Object.entries(formats).map(([name, { files }]) => `${files.join(" and ")} (${name})`);
    throw new SaeFormatError(
      `${folder} holds no dictionary: expected ${expected.join(", ")}; it holds ${found.toSorted().slice(0, 8).join(", ") || "nothing"}`,
    );
  }
  return await format.read(folder);
}

/** What SAELens says of a dictionary whose activations TransformerLens centred. */
const centring = z.looseObject({
  model_from_pretrained_kwargs: z.looseObject({ center_writing_weights: z.literal(true) }),
});

async function readSaeLens(folder: string): Promise<ForeignDictionary> {
  const { sae, metadata } = await readSae(folder);
  const text = (name: string): string | undefined => {
    const value = metadata[name];
    return typeof value === "string" ? value : undefined;
  };
  const l0 = sae.activation.kind === "topk" ? sae.activation.k : undefined;
  const isCentred = centring.safeParse(metadata).success;
  return { sae, origin: { format: "SAELens", modelName: text("model_name"), site: text("hook_name"), l0, isCentred } };
}
