/** Values and texts that programs trip over. Everything comes from one random stream, so that a seed gives the same again. */
import type { Random } from "../../server/common/random.ts";

export function pick<T>(random: Random, list: readonly T[]): T {
  const found = list[random.integer(list.length)];
  if (found === undefined) throw new RangeError("nothing to pick from");
  return found;
}

const numbers = [0, -0, -1, 1, 2 ** 31, -(2 ** 31), 2 ** 53, 1e308, -1e308, 5e-324, 0.5, 4294967296, 65536];
const strings = [
  "",
  "__proto__",
  "constructor",
  "\0",
  "\ud800",
  "\udfff\ud800",
  "../../etc/passwd",
  "file:///nowhere/a.txt",
  "untitled:0",
  "command:lfpLens.openFeature",
  "<img src=x onerror=alert(1)>",
  "L4/F43",
  "base:L999/F999999@big",
  "%s%n",
  "null",
  "\u202eabc",
];

/** A value of any JSON type; sometimes large, sometimes deep. */
export function junk(random: Random, depth = 0): unknown {
  switch (random.integer(depth > 3 ? 5 : 8)) {
    case 0:
      return pick(random, numbers);
    case 1:
      return pick(random, strings);
    case 2:
      return pick(random, [null, true, false]);
    case 3:
      return words(random, random.integer(30));
    case 4:
      return random.integer(1_000_000);
    case 5:
      return Array.from({ length: random.integer(6) }, () => junk(random, depth + 1));
    case 6:
      return Object.fromEntries(
        Array.from({ length: random.integer(5) }, () => [pick(random, strings), junk(random, depth + 1)]),
      );
    default:
      return random.integer(40) === 0 ? deep(1 + random.integer(900)) : "x".repeat(random.integer(5000));
  }
}

/** Arrays within arrays, as many as our own JSON.stringify bears. */
function deep(levels: number): unknown {
  return JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`);
}

/** The value with something in it changed, left out or added. */
export function mutate(random: Random, value: unknown): unknown {
  if (random.integer(6) === 0) return junk(random);
  if (Array.isArray(value)) {
    const copy: unknown[] = [...value];
    const at = random.integer(copy.length + 1);
    if (random.integer(3) === 0) copy.splice(at, 1);
    else copy[at] = at < copy.length ? mutate(random, copy[at]) : junk(random);
    return copy;
  }
  if (typeof value !== "object" || value === null) return junk(random);
  const entries = Object.entries(value);
  const at = random.integer(entries.length + 1);
  const [key = pick(random, strings), old] = entries[at] ?? [];
  if (random.integer(4) === 0) return Object.fromEntries(entries.filter((_, i) => i !== at));
  return Object.fromEntries([...entries.filter((_, i) => i !== at), [key, mutate(random, old)]]);
}

const vocabulary =
  "good great awful terrible wonderful film the a was it I boring stupid, love. not very L0/F3 hate!".split(" ");
const odd = [
  "😀",
  "👨‍👩‍👧‍👦",
  "e\u0301\u0323",
  "שלום",
  "مرحبا",
  "漢字仮名",
  "\u202e",
  "\u0000",
  "\u200b",
  "\ufeff",
  "ﷺ",
  "\ud83d",
  "İ",
  "ß",
  "\t",
  "  ",
];
const breaks = ["\n", "\r\n", "\n\n", "\r\n\r\n", "\r", "\u2028", "\f"];

/** Prose with what prose should not have. */
export function words(random: Random, count: number): string {
  let text = "";
  for (let i = 0; i < count; i += 1) {
    const kind = random.integer(20);
    text += kind < 16 ? `${pick(random, vocabulary)} ` : kind < 18 ? pick(random, odd) : pick(random, breaks);
  }
  return text;
}

/** A document: prose, records, one long line, or what no person would write. */
export function documentText(random: Random): string {
  switch (random.integer(13)) {
    case 0:
      return Array.from({ length: random.integer(40) }, () =>
        JSON.stringify({ text: words(random, 12), id: junk(random, 3) }),
      ).join("\n");
    case 1:
      return `{"text": "${words(random, 30)}`.repeat(1 + random.integer(20));
    case 2:
      return words(random, 30)
        .replace(/\s/g, " ")
        .repeat(1 + random.integer(400));
    case 3:
      return pick(random, odd).repeat(random.integer(3000));
    case 4:
      return "\n".repeat(random.integer(50_000));
    case 5:
      return random.integer(10) === 0 ? words(random, 100).repeat(8000) : words(random, 2000);
    case 6:
      return "";
    case 7:
      return experimentText(random);
    case 8:
      return Array.from({ length: random.integer(30) }, () => JSON.stringify(preference(random))).join("\n");
    default:
      return words(random, random.integer(200));
  }
}

/** A preference of one layout or another, or nearly one. */
function preference(random: Random): object {
  const text = (): string =>
    pick(random, ["", " ", words(random, 8), words(random, 200), pick(random, odd), String(junk(random, 5))]);
  const messages = (): unknown => [
    { role: "user", content: words(random, 5) },
    {
      role: pick(random, ["assistant", "tool", ""]),
      content: pick(random, [text(), [{ type: "text", text: text() }], null]),
    },
  ];
  const answer = pick(random, [text, messages, () => null]);
  const prompt = pick(random, [{ prompt: text() }, {}, { prompt: messages() }]);
  return { ...prompt, chosen: answer(), rejected: answer() };
}

/** An experiment file with values that may or may not fit. */
function experimentText(random: Random): string {
  const value = (): unknown => pick(random, [0, 1, -1, 1e300, 0.5, null, "x", [], {}, [[1, 1]], { min: 9, max: 2 }]);
  const sections = ["tuning", "ppo", "data", "sae", "divergence", "tuned", "__proto__", "preset", "model"];
  const fields = ["batchSize", "kl", "steps", "heldOut", "limit", "source", "layers", "promptTokens", "constructor"];
  const entries = Array.from({ length: 1 + random.integer(4) }, (): [string, unknown] => [
    pick(random, sections),
    random.integer(3) === 0 ? value() : Object.fromEntries([[pick(random, fields), value()]]),
  ]);
  return JSON.stringify(Object.fromEntries([["preset", "quick"], ...entries]), undefined, random.integer(4));
}
