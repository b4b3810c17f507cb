/** `node refill-store.ts STORE A B`: fills a store from one file and the other in turns, a line each time, until its standard input ends. */
import { FeatureStore } from "../../server/store/store.ts";

const [path = "", ...sources] = process.argv.slice(2);
let isAsked = true;
process.stdin.on("end", () => {
  isAsked = false;
});
process.stdin.resume();
using store = FeatureStore.open(path);
for (let turn = 1; isAsked; turn += 1) {
  store.refill({ path: sources[turn % sources.length] ?? "", key: `turn ${turn}` });
  process.stdout.write(`${turn}\n`);
  await new Promise((resolve) => setImmediate(resolve));
}
