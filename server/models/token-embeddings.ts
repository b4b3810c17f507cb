import { embeddingNameOf } from "./model.ts";
import { openParameters } from "./parameters.ts";

/** What a model knows of tokens before it reads any text: a row of its embedding table for each. Letters: V vocabulary, D width. */
export interface TokenEmbeddings {
  /** D */
  readonly width: number;
  /** [V, D], as the checkpoint has it. */
  readonly rows: Float32Array;
}

/** Reads the table from a checkpoint's folder, without a device. Throws what `openParameters` throws. */
export async function readTokenEmbeddings(folder: string): Promise<TokenEmbeddings> {
  await using source = await openParameters(folder);
  const rows = await source.readFloat32(embeddingNameOf(source.config), { requireFinite: true });
  return { width: source.config.width, rows };
}
