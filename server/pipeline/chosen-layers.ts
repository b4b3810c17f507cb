/** The divergences from which the studied layers were chosen. */

export interface LayerChoice {
  readonly measure: string;
  readonly choose: string;
  readonly layers: readonly ({ readonly layer: number } & Readonly<Record<string, number>>)[];
  readonly chosen: readonly number[];
}

export interface ChosenLayers {
  /** `named`: other layers changed more, or less, so the experiment must have named these. */
  readonly how: "most" | "least" | "all" | "named";
  /** The measure of the chosen and of the other layer that are closest in it; null for `all` and `named`. */
  readonly edge: { readonly chosen: number; readonly other: number } | null;
  /** Range of the measure over all layers. */
  readonly range: { readonly low: number; readonly high: number };
  /** Whether these two differ by so little that the choice is close to a tie. */
  readonly isTie: boolean;
}

/** Relative difference below which two layers count as equal. */
const tieShare = 0.05;

/** Explains the chosen layers by the measure. */
export function chosenLayers({ measure, choose, layers, chosen }: LayerChoice): ChosenLayers {
  const valuesOf = (isChosen: boolean): number[] =>
    layers.filter(({ layer }) => chosen.includes(layer) === isChosen).map((one) => one[measure] ?? 0);
  const [own, others] = [valuesOf(true), valuesOf(false)];
  const all = [...own, ...others];
  const range = { low: Math.min(...all), high: Math.max(...all) };
  if (others.length === 0) return { how: "all", edge: null, range, isTie: false };
  const edgeOf = (how: "most" | "least"): ChosenLayers => {
    const edge =
      how === "most"
        ? { chosen: Math.min(...own), other: Math.max(...others) }
        : { chosen: Math.max(...own), other: Math.min(...others) };
    const gap = Math.abs(edge.chosen - edge.other);
    return { how, edge, range, isTie: gap <= tieShare * Math.max(edge.chosen, edge.other) };
  };
  const how = choose === "lowest" ? "least" : "most";
  const { edge, ...found } = edgeOf(how);
  const holds = edge !== null && (how === "most" ? edge.chosen >= edge.other : edge.chosen <= edge.other);
  return holds ? { ...found, edge } : { how: "named", edge: null, range, isTie: false };
}

/** `layers 1, 2 changed most, close to a tie`. */
export function chosenInWords(choice: LayerChoice): string {
  const { how, isTie } = chosenLayers(choice);
  const names = `${choice.chosen.length === 1 ? "layer" : "layers"} ${choice.chosen.join(", ")}`;
  const words: { readonly [How in ChosenLayers["how"]]: string } = {
    most: `${names} changed most`,
    least: `${names} changed least`,
    all: `all layers studied`,
    named: `${names} studied, as named`,
  };
  return `${words[how]}${isTie ? ", close to a tie" : ""}`;
}
