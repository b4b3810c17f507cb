import type { Sae } from "../../sae/sae.ts";
import { nearestRows } from "./twins.loops.ts";

/** For each feature of this dictionary, the feature of another whose direction is nearest. */
export function nearestDirections(own: Sae, other: Sae): { readonly feature: number; readonly cosine: number }[] {
  const { rows, cosines } = nearestRows(own.decoder, other.decoder, own.D);
  return Array.from(rows, (feature, at) => ({ feature, cosine: cosines[at] ?? 0 }));
}
