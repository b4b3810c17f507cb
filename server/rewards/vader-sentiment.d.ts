/** The package ships no types; its lexicon is checked where it is read. */
declare module "vader-sentiment/src/vader_lexicon.js" {
  export const lexicon: unknown;
}
