/**
 * The strings that spaCy's English tokenizer splits (or keeps whole) by table rather than by rule: contractions,
 * abbreviations, clock times, emoticons. Re-expressed from spaCy 3.7 and 3.8, which agree on them (MIT, Copyright
 * ExplosionAI GmbH and others; see THIRD-PARTY.md; sources: `spacy/lang/en/tokenizer_exceptions.py` and
 * `spacy/lang/tokenizer_exceptions.py`). The table is case-sensitive: "DON'T" is none of its entries.
 */

/** Each exception with its pieces, which concatenate to it: 1,347 entries. */
export function englishExceptions(): ReadonlyMap<string, readonly string[]> {
  const entries: string[][] = [
    ...pronouns(),
    ...questionWords(),
    ...verbs(),
    ...clippedWords(),
    ...clockTimes(),
    ...splitPhrases,
    ...wholes,
  ];
  const kept = entries.filter((pieces) => !ambiguous.has(pieces.join("")));
  const curly = kept.map((pieces) => pieces.map((piece) => piece.replaceAll("'", "’")));
  return new Map([...kept, ...curly].map((pieces) => [pieces.join(""), pieces]));
}

/** Contractions that are more often words of their own, and are not split. */
const ambiguous = new Set(
  ["ill", "its", "hell", "shell", "shed", "were", "well", "whore"].flatMap((word) => [word, titled(word)]),
);

function pronouns(): string[][] {
  return [
    ...contractions(["i"], [["'m"], ["'m", "a"]]),
    ...contractions(words("i you he she it we they"), [["'ll"], ["'ll", "'ve"], ["'d"], ["'d", "'ve"]]),
    ...contractions(words("i you we they"), [["'ve"]]),
    ...contractions(words("you we they"), [["'re"]]),
    ...contractions(words("he she it"), [["'s"]]),
  ];
}

function questionWords(): string[][] {
  const open = words("who what when where why how there");
  const singular = words("that this");
  const plural = words("these those");
  return [
    ...contractions([...open, ...singular, ...plural], [["'ll"], ["'ll", "'ve"], ["'d"], ["'d", "'ve"]]),
    ...contractions([...open, ...singular], [["'s"]]),
    ...contractions([...open, ...plural], [["'re"], ["'ve"]]),
  ];
}

function verbs(): string[][] {
  const modal = words("ca could do does did had may might must need ought sha should wo would");
  return [
    ...contractions(modal, [["n't"], ["n't", "'ve"]]),
    ...contractions(words("could might must should would"), [["'ve"]]),
    ...contractions(words("ai are is was were have has dare"), [["n't"]]),
  ];
}

/** Each word, lower case and titled, with each chain of endings, with and without its apostrophes. */
function contractions(stems: readonly string[], endings: readonly (readonly string[])[]): string[][] {
  return stems
    .flatMap((word) => [word, titled(word)])
    .flatMap((word) =>
      endings.flatMap((chain) => [
        [word, ...chain],
        [word, ...chain.map((ending) => ending.replace("'", ""))],
      ]),
    );
}

/** Words with a letter left out at an end, whole with and without the apostrophe. */
function clippedWords(): string[][] {
  const atTheEnd = words("doin goin nothin nuthin ol somethin lovin havin").flatMap((word) => [word, titled(word)]);
  const atTheStart = words("em ll nuff");
  return [
    ...atTheEnd.flatMap((word) => [[word], [`${word}'`]]),
    ...atTheStart.flatMap((word) => [[word], [`'${word}`]]),
  ];
}

function clockTimes(): string[][] {
  const hours = Array.from({ length: 12 }, (_, index) => String(index + 1));
  return hours.flatMap((hour) => words("a.m. am p.m. pm").map((half) => [hour, half]));
}

const splitPhrases = [
  ...["y'|all", "y|all"],
  ...["how|'d|'y", "not|'ve", "not|ve", "can|not", "gon|na", "got|ta", "let|'s", "c'm|on"].flatMap((phrase) => [
    phrase,
    titled(phrase),
  ]),
  ...[..."cfkCFK"].map((scale) => `°|${scale}|.`),
].map((phrase) => phrase.split("|"));

/** What stays one token: words with apostrophes, abbreviations, single letters with a full stop, emoticons. */
const wholes = [
  " ",
  "\t",
  "\n",
  "\u00a0",
  ...words("' '' — \\t \\n \\\") <space> C++"),
  ...[..."abcdefghijklmnopqrstuvwxyzäöü"].map((letter) => `${letter}.`),
  ...words(
    "'d 'S 's ‘S ‘s and/or w/o 're 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout ma'am Ma'am o'clock O'clock",
  ),
  // Months, American states.
  ...words("Jan. Feb. Mar. Apr. Jun. Jul. Aug. Sep. Sept. Oct. Nov. Dec."),
  ...words("Ak. Ala. Ariz. Ark. Calif. Colo. Conn. Del. Fla. Ga. Ia. Id. Ill. Ind. Kan. Kans. Ky. La. Mass. Md. Mich."),
  ...words(
    "Minn. Miss. Mo. Mont. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Okla. Ore. Pa. S.C. Tenn. Va. Wash. Wis.",
  ),
  // Titles, companies, Latin.
  ...words(
    "Adm. Dr. Gen. Gov. Jr. Messrs. Mr. Mrs. Ms. Mt. Ph.D. Prof. Rep. Rev. Sen. St. Bros. co. Co. Corp. D.C. Inc.",
  ),
  ...words("Ltd. a.m. p.m. e.g. E.g. E.G. i.e. I.e. I.E. vs. v.s."),
  // Smiling and winking.
  ...words(":) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-;"),
  // Sad, crying, sceptical.
  ...words(":( :-( :(( :-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1"),
  // Tongues, open mouths, kisses, laughter.
  ...words(":P :-P :p :-p :O :-O :o :-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D"),
  ...words("xD XD xDD XDD 8D 8-D"),
  // Eyes, hearts, figures.
  ...words("^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o"),
  ...words("0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\\(ツ)/¯"),
  ...words("(╯°□°）╯︵┻━┻ ><(((*>"),
].map((whole) => [whole]);

function words(list: string): string[] {
  return list.split(" ");
}

function titled(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
