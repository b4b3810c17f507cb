/** The tokens that end a message of a chat model. */
import { join } from "node:path";
import { z } from "zod";
import { tryJson } from "../common/json.ts";
import { readTextFile } from "../common/text-file.ts";
import { tokenIds } from "./config-fields.ts";
import type { Model } from "./model.ts";
import type { Tokenizer } from "./tokenizer.ts";

const generationConfig = z.object({ eos_token_id: tokenIds }).partial();

/**
 * The same model, which also stops at the ids of generation_config.json and at the tokenizer's end of text: a chat model
 * ends its messages with tokens that config.json need not name, such as Gemma's `<end_of_turn>`.
 */
export async function stoppingAtMessages(model: Model, folder: string, tokenizer: Tokenizer): Promise<Model> {
  const text = await readTextFile(join(folder, "generation_config.json"), "config").catch(() => "{}");
  const { eos_token_id: listed } = generationConfig.safeParse(tryJson(text)).data ?? {};
  const ids = [model.config.eosIds, listed ?? [], tokenizer.eosId ?? []].flat();
  const eosIds = [...new Set(ids)].filter((id) => id < model.config.vocabSize);
  return { ...model, config: { ...model.config, eosIds } };
}
