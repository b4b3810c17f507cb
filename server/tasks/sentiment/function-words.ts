/**
 * Words of grammar without content of their own: pronouns, articles, prepositions, conjunctions, auxiliaries, and
 * the commonest adverbs of degree and place. None of them may replace a content word.
 */
export const functionWords: ReadonlySet<string> = new Set(
  `a an the this that these those i me my mine myself you your yours yourself he him his himself she her hers herself it its
  itself we us our ours ourselves they them their theirs themselves who whom whose which what where when why how one ones
  someone somebody something anyone anybody anything everyone everybody everything none nobody nothing each every either
  neither both all any some few many much more most less least other others another such same own
  am is are was were be been being do does did doing done have has had having will would shall should can could may might must
  ca wo ai gonna gotta let
  and or but nor so yet if then than because although though while whereas unless until since as
  of in on at by for with without from to into onto upon about above below under over between among through during before
  after against toward towards within along across behind beyond near off out up down around per via despite except
  not no never ever always often sometimes just only even still also too very quite rather almost already again once here there
  now however thus therefore perhaps maybe really simply actually else instead
  s t d m re ve ll nt n't 's 'm 're 've 'll 'd`
    .split(/\s+/u)
    .filter((word) => word !== ""),
);
