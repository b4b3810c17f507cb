/** Saves and restores the state of an unfinished description of features. */
import type { Checkpoint } from "../../runs/stage.ts";
import { readCounts, readFloats } from "../artifacts/array-files.ts";
import type { FeatureActivations } from "./activations.loops.ts";
import { nameOf, type OpenDictionary } from "./dictionaries.ts";
import type { Harvested } from "./harvest.ts";

/** Activations by the name of the dictionary. */
export type Activations = ReadonlyMap<string, FeatureActivations>;

export type NamedArrays = readonly (readonly [string, Float32Array | Uint32Array])[];

export function unwritten(members: readonly OpenDictionary[], found: Activations): NamedArrays {
  return members.flatMap((dictionary) => {
    const activations = found.get(nameOf(dictionary));
    if (activations === undefined) return [];
    const { starts, places, values } = activations;
    const name = nameOf(dictionary);
    return [
      [`${name}.starts`, starts] as const,
      [`${name}.places`, places] as const,
      [`${name}.values`, values] as const,
    ];
  });
}

/** Restores what `readActivations` saved. */
export async function savedHarvest(
  resumed: Checkpoint | undefined,
  dictionaries: readonly { readonly name: string }[],
): Promise<Harvested> {
  const [counts, floats] = await savedArrays(resumed);
  return Object.fromEntries(
    dictionaries.flatMap(({ name }) => {
      const { [`${name}.columns`]: columns, [`${name}.places`]: places } = counts;
      const values = floats[`${name}.values`];
      return columns && places && values ? [[name, { columns, places, values }]] : [];
    }),
  );
}

/** Restores what `writeGroup` saved: the activations of dictionaries that are not fully written. */
export async function savedActivations(
  resumed: Checkpoint | undefined,
  members: readonly OpenDictionary[],
  tokens: number,
): Promise<Activations> {
  const [counts, floats] = await savedArrays(resumed);
  const found = new Map<string, FeatureActivations>();
  for (const dictionary of members) {
    const name = nameOf(dictionary);
    const { [`${name}.starts`]: starts, [`${name}.places`]: places } = counts;
    const values = floats[`${name}.values`];
    if (starts === undefined || places === undefined || values === undefined) continue;
    found.set(name, { features: dictionary.sae.F, tokens, starts, places, values });
  }
  return found;
}

async function savedArrays(resumed: Checkpoint | undefined) {
  return resumed === undefined
    ? ([{}, {}] as const)
    : ([await readCounts(resumed), await readFloats(resumed)] as const);
}
