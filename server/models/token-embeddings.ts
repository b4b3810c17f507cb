import { embeddingNameOf } from "./model.ts";
import { openParameters } from "./parameters.ts";

/** A model's embedding table: what it knows about tokens without context. Letters: V vocabulary, D width. */
export interface TokenEmbeddings {
  /** D */
  readonly width: number;
  /** [V, D], as stored in the checkpoint. */
  readonly rows: Float32Array;
}

/** Reads the table from a checkpoint's folder, without a device. Throws what `openParameters` throws. */
export async function readTokenEmbeddings(folder: string): Promise<TokenEmbeddings> {
  await using source = await openParameters(folder);
  const rows = await source.readFloat32(embeddingNameOf(source.config), { requireFinite: true });
  return { width: source.config.width, rows };
}
