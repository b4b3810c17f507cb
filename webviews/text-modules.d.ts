/** The build gives these as their text, for sheets that components adopt: a strict policy lets no `<style>` in. */
declare module "*.css" {
  const text: string;
  export default text;
}
