/** Opens two tuned models of one base model on one device, which holds the base model once. */
import { PairLens, type PairSubject } from "../../lens/pair-lens.ts";
import type { LoadedModel } from "../../models/checkpoint.ts";
import { type OwnDevice, openOnDevice } from "./open-on-device.ts";
import { type OpenPairLensOptions, type PlacedPair, placePair } from "./open-pair.ts";

type Two<T> = readonly [T, T];

/** A tuned model, and whether the begin-of-text token precedes what it reads. */
export interface TunedSide {
  readonly tuned: string;
  readonly bos: boolean;
}

/**
 * Opens each tuned model with the base model as a pair. The device is closed when both are. Throws what `openPair`
 * throws, after closing the device.
 */
export async function openPairsOfBase(
  base: string,
  sides: Two<TunedSide>,
  options: Omit<OpenPairLensOptions, "bos" | "dictionary">,
): Promise<Two<PairLens>> {
  const build = async (own: OwnDevice<Two<PairSubject>>): Promise<Two<PairSubject>> => {
    const { device, description } = own;
    const alone = { device, description, onCpu: undefined };
    const place = ({ tuned, bos }: TunedSide, loaded?: LoadedModel): Promise<PlacedPair> =>
      placePair(alone, { tuned, base }, { ...options, bos }, loaded);
    const first = await place(sides[0]);
    const second = await place(sides[1], first.base);
    return together(own, [first.subject, second.subject]);
  };
  const [first, second] = await openOnDevice(options, build);
  return [new PairLens(first, options), new PairLens(second, options)];
}

/** Makes subjects on one device move to the CPU as two of one device there, and close the device with the last of them. */
function together({ device, onCpu }: OwnDevice<Two<PairSubject>>, subjects: Two<PairSubject>): Two<PairSubject> {
  let moved: Promise<Two<PairSubject>> | undefined;
  let open = subjects.length;
  const sideOf = (side: 0 | 1): PairSubject => {
    let hasMoved = false;
    const move = async (...cause: Parameters<NonNullable<typeof onCpu>>): Promise<PairSubject> => {
      hasMoved = true;
      moved ??= onCpu?.(...cause);
      return (await moved)?.[side] ?? subjects[side];
    };
    return {
      ...subjects[side],
      onCpu: onCpu === undefined ? undefined : move,
      close: async () => {
        open -= 1;
        // Only the other side has moved: it leaves this side's place on the CPU unused.
        if (!hasMoved) await (await moved?.catch(() => undefined))?.[side].close();
        if (open === 0) await device.close();
      },
    };
  };
  return [sideOf(0), sideOf(1)];
}
