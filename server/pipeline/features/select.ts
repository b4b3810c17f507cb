/**
 * Selects the windows that show what a feature is: the strongest, some of every strength, and some where it is silent.
 * Explanations see one half of the texts and are scored on the other (reference/method.md 3.4).
 */
import type { Random } from "../../common/random.ts";
import type { ExampleKind, ExampleSplit } from "../../store/writer.ts";
import { activationsIn, type FeatureActivations, peaksOf } from "./activations.loops.ts";
import type { TextWindow, WindowedTexts } from "./windows.ts";

/** A chosen window; `peak` counts from its first token. */
export interface ChosenExample {
  readonly split: ExampleSplit;
  readonly kind: ExampleKind;
  readonly rank: number;
  readonly window: TextWindow;
  readonly peak: number;
  readonly activations: Float32Array;
}

/** Number of windows of each kind, for explaining and for scoring. */
const wanted: { readonly [S in ExampleSplit]: { readonly [K in ExampleKind]: number } } = {
  explain: { top: 10, q4: 2, q3: 2, q2: 3, q1: 3, silent: 5, random: 0 },
  score: { top: 5, q4: 5, q3: 5, q2: 5, q1: 5, silent: 10, random: 10 },
};

/**
 * A window counts as silent below this share of the feature's maximum: it rounds to nothing on the scale from 0 to 10
 * that people are shown.
 */
export const silentBelow = 0.1;
/** At most this share of the strongest windows may peak on the same word, so that one word does not hide the others. */
const sameWordShare = 0.3;

/** Chooses examples of one dictionary's features. */
export class ExampleSelector {
  readonly #texts: WindowedTexts;
  readonly #windowsOf: Readonly<Record<ExampleSplit, readonly TextWindow[]>>;
  readonly #places = new Map<number, number[]>();
  /** [windows]: the current feature's strongest activation in each. */
  readonly #levels: Float32Array;

  constructor(texts: WindowedTexts) {
    this.#texts = texts;
    const of = (split: ExampleSplit) => texts.windows.filter((window) => window.split === split);
    this.#windowsOf = { explain: of("explain"), score: of("score") };
    this.#levels = new Float32Array(texts.windows.length);
    for (const [place, word] of texts.wordOf.entries()) {
      const places = this.#places.get(word);
      if (places === undefined) this.#places.set(word, [place]);
      else places.push(place);
    }
  }

  /** Chooses a feature's examples, reproducibly from the stream. Empty for a dead feature. */
  choose(activations: FeatureActivations, feature: number, random: Random): ChosenExample[] {
    const peaks = peaksOf(activations, feature, this.#texts.windowOf);
    const max = peaks.values.reduce((most, value) => Math.max(most, value), 0);
    if (max === 0) return [];
    for (const [at, window] of peaks.windows.entries()) this.#levels[window] = (peaks.values[at] ?? 0) / max;
    const ranked = [...peaks.windows.keys()]
      .map((at) => ({ window: peaks.windows[at] ?? 0, place: peaks.places[at] ?? 0, value: peaks.values[at] ?? 0 }))
      .filter(({ value }) => value >= silentBelow * max)
      .sort((a, b) => b.value - a.value || a.window - b.window);
    const chosen = (["explain", "score"] as const).flatMap((split) => {
      const own = ranked.filter(({ window }) => this.#texts.windows[window]?.split === split);
      return this.#ofSplit(own, split, random);
    });
    for (const window of peaks.windows) this.#levels[window] = 0;
    return chosen.map(({ split, kind, rank, place, window }) => ({
      split,
      kind,
      rank,
      window,
      peak: place - window.first,
      activations: activationsIn(activations, feature, [window.first, window.end]),
    }));
  }

  #ofSplit(ranked: readonly Peak[], split: ExampleSplit, random: Random): Placed[] {
    const top = this.#strongest(ranked, wanted[split].top);
    const taken = new Set(top.map(({ window }) => window));
    const others = ranked.filter(({ window }) => !taken.has(window));
    const quarter = (from: number): readonly Peak[] =>
      others.slice(Math.floor((from * others.length) / 4), Math.floor(((from + 1) * others.length) / 4));
    const groups: [ExampleKind, readonly Peak[]][] = [
      ["top", top],
      ...(["q4", "q3", "q2", "q1"] as const).map((kind, at): [ExampleKind, readonly Peak[]] => [
        kind,
        draw(quarter(at), wanted[split][kind], random),
      ]),
      ["silent", this.#sameWordsButSilent(top, split, random)],
      ["random", this.#anySilent(split, random)],
    ];
    return groups.flatMap(([kind, list]) =>
      list.flatMap(({ window: id, place }, rank) => {
        const window = this.#texts.windows[id];
        return window === undefined ? [] : [{ split, kind, rank, place, window }];
      }),
    );
  }

  /** The strongest peaks, from different texts, and not all on one word while there are others. */
  #strongest(ranked: readonly Peak[], count: number): Peak[] {
    const texts = new Set<number>();
    const perWord = new Map<number, number>();
    const chosen: Peak[] = [];
    const take = (sameWord: number): void => {
      for (const peak of ranked) {
        if (chosen.length === count) return;
        const text = this.#texts.windows[peak.window]?.text ?? 0;
        const word = this.#texts.wordOf[peak.place] ?? 0;
        const same = perWord.get(word) ?? 0;
        if (texts.has(text) || same >= sameWord) continue;
        texts.add(text);
        perWord.set(word, same + 1);
        chosen.push(peak);
      }
    };
    take(Math.max(1, Math.floor(sameWordShare * count)));
    take(count);
    return chosen.sort((a, b) => b.value - a.value || a.window - b.window);
  }

  /** Hard negatives: windows with the words that the feature peaks on elsewhere. */
  #sameWordsButSilent(top: readonly Peak[], split: ExampleSplit, random: Random): Peak[] {
    const found = new Map<number, Peak>();
    const words = [...new Set(top.map(({ place }) => this.#texts.wordOf[place] ?? 0))];
    const perWord = words.map((word) => random.shuffled(this.#places.get(word)?.slice(0, placesLookedAt) ?? []));
    const count = wanted[split].silent;
    for (let turn = 0; found.size < count && perWord.some(({ length }) => turn < length); turn++) {
      for (const places of perWord) {
        const place = places[turn];
        if (place === undefined || found.size === count) continue;
        const window = this.#texts.windowOf[place] ?? 0;
        if (this.#isSilent(window) && this.#texts.windows[window]?.split === split)
          found.set(window, { window, place, value: 0 });
      }
    }
    return [...found.values()];
  }

  #anySilent(split: ExampleSplit, random: Random): Peak[] {
    const windows = this.#windowsOf[split];
    const found = new Map<number, Peak>();
    const count = wanted[split].random;
    for (let tries = 0; tries < windowsLookedAt && found.size < count && windows.length > 0; tries++) {
      const window = windows[random.integer(windows.length)];
      if (window === undefined || !this.#isSilent(window.id)) continue;
      const place = window.first + random.integer(window.end - window.first);
      found.set(window.id, { window: window.id, place, value: 0 });
    }
    return [...found.values()];
  }

  #isSilent(window: number): boolean {
    return (this.#levels[window] ?? 0) < silentBelow;
  }
}

/** Bounds on the search for windows where a feature that is nearly always active is silent. */
const placesLookedAt = 4096;
const windowsLookedAt = 2048;

interface Peak {
  readonly window: number;
  /** Token number. */
  readonly place: number;
  readonly value: number;
}

interface Placed {
  readonly split: ExampleSplit;
  readonly kind: ExampleKind;
  readonly rank: number;
  readonly place: number;
  readonly window: TextWindow;
}

/** Draws some of the peaks uniformly; keeps their order. */
function draw(peaks: readonly Peak[], count: number, random: Random): Peak[] {
  const picked = new Set<number>();
  while (picked.size < Math.min(count, peaks.length)) picked.add(random.integer(peaks.length));
  return [...picked].sort((a, b) => a - b).flatMap((at) => peaks[at] ?? []);
}
