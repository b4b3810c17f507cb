/** The package ships no types; the module that imports it checks its lexicon. */
declare module "vader-sentiment/src/vader_lexicon.js" {
  export const lexicon: unknown;
}
