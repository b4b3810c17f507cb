/** Settings that every feedback has which judges whole texts and rates no words itself. */
import { judgedTextSchema } from "./judged-text.ts";
import { VaderConfig } from "./vader-config.ts";

export const wholeTextFields = {
  text: judgedTextSchema.default("full"),
  lexicon: VaderConfig.unwrap()
    .shape.lexicon.default("head")
    .describe(
      "Edition of VADER's lexicon for what needs ratings of words, which this feedback does not give: triples, probes, the learned lexicon.",
    ),
};
