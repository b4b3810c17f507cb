import { readConfig } from "./config.ts";
import { embeddingNameOf } from "./model.ts";
import { openCheckpointTensors } from "./safetensors.ts";

/** What a model knows of tokens before it reads any text: a row of its embedding table for each. Letters: V vocabulary, D width. */
export interface TokenEmbeddings {
  /** D */
  readonly width: number;
  /** [V, D], as the checkpoint has it. */
  readonly rows: Float32Array;
}

/** Reads the table from a checkpoint's folder, without a device. Throws what `readConfig` and `openCheckpointTensors` throw. */
export async function readTokenEmbeddings(folder: string): Promise<TokenEmbeddings> {
  const { config } = await readConfig(folder);
  await using source = await openCheckpointTensors(folder);
  const rows = await source.readFloat32(embeddingNameOf(config), { requireFinite: true });
  return { width: config.width, rows };
}
