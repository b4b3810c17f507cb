import type { Sae } from "../../sae/sae.ts";
import { nearestRows } from "./twins.loops.ts";

/** The feature of another dictionary whose direction is nearest, for each feature of this one. */
export function nearestDirections(own: Sae, other: Sae): { readonly feature: number; readonly cosine: number }[] {
  const { rows, cosines } = nearestRows(own.decoder, other.decoder, own.D);
  return Array.from(rows, (feature, at) => ({ feature, cosine: cosines[at] ?? 0 }));
}
