/**
 * The build imports these files as text, for style sheets that components adopt: the pages' policy forbids `<style>`.
 */
declare module "*.css" {
  const text: string;
  export default text;
}
