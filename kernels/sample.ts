/**
 * Drawing one id a row from probabilities, on the device: greedy, the whole distribution, or within top-k and then top-p. Nothing is
 * sorted: places in the order of falling probability are found by bisecting the 31 bits of non-negative floats, whose order as numbers is
 * their order as integers. One workgroup a row.
 */
import { defineKernel, foldedGrid, type Launch, lanesFor } from "./wgsl.ts";

export interface SampleShape {
  readonly rows: number;
  readonly columns: number;
  /** Ids from here on are never drawn. */
  readonly limit: number;
  /** Ids that are out when the fourth setting says so. */
  readonly bannable: readonly number[];
}

/**
 * (probabilities [rows, columns], uniforms [rows], settings [top-k, top-p, greedy, ban]) -> ids [rows]. `failed` [1], 2^32 - 1 before,
 * becomes the least row that is NaN.
 */
export function sampleLaunch({ rows, columns, limit, bannable }: SampleShape): Launch {
  const size = lanesFor(columns);
  const banned = bannable.map((id) => `id == ${id}u`).join(" || ");
  const kernel = defineKernel({
    name: "sampleRows",
    bindings: [
      { name: "probs", type: "f32", access: "read" },
      { name: "uniforms", type: "f32", access: "read" },
      { name: "settings", type: "f32", access: "read" },
      { name: "ids", type: "i32", access: "read_write" },
      { name: "failed", type: "atomic<u32>", access: "read_write" },
    ],
    params: [
      { name: "rows", type: "u32" },
      { name: "columns", type: "u32" },
      { name: "limit", type: "u32" },
    ],
    size,
    declarations: `
fn isOut(id: u32) -> bool { return ${banned === "" ? "false" : `settings[3] != 0.0f && (${banned})`}; }
${helpers(size)}`,
    body: body(size),
  });
  return { kernel, params: [rows, columns, Math.min(limit, columns)], grid: foldedGrid(rows) };
}

const helpers = (size: number): string => `
var<workgroup> masses: array<f32, ${size}>;
var<workgroup> counts: array<u32, ${size}>;
fn bitsOf(base: u32, id: u32) -> u32 { return select(bitcast<u32>(max(probs[base + id], 0.0f)), 0u, isOut(id)); }

struct Measure { count: u32, mass: f32 }
/**
 * How many ids are at least as probable as \`bits\`, and the probability that they hold, where of the ids at \`edge\` only \`ties\` count and
 * none below.
 */
fn measure(base: u32, lane: u32, bits: u32, edge: u32, ties: u32) -> Measure {
  var count = 0u;
  var mass = 0.0f;
  for (var id = lane; id < p.limit; id += ${size}u) {
    let own = bitsOf(base, id);
    if (own >= bits) {
      count++;
      if (own > edge) { mass += bitcast<f32>(own); }
    }
  }
  counts[lane] = count;
  masses[lane] = mass;
  workgroupBarrier();
  for (var half = ${size / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) {
      counts[lane] += counts[lane + half];
      masses[lane] += masses[lane + half];
    }
    workgroupBarrier();
  }
  let held = workgroupUniformLoad(&masses[0]) + select(0.0f, f32(ties) * bitcast<f32>(edge), bits <= edge);
  return Measure(workgroupUniformLoad(&counts[0]), held);
}`;

/**
 * Three searches for the largest bits that still satisfy something: the k-th most probable entry, the least probable one that top-p needs,
 * and the one at which the running sum from the most probable on passes the uniform's share. After each, what lies above it and at it.
 */
const searches = `
    let k = select(select(min(topK, p.limit), p.limit, topK == 0u), 1u, greedy);
    var edge = 0u;
    var ties = 0u;
    var goal = 0.0f;
    for (var search = 0u; search < 3u; search++) {
      var found = 0u;
      var above = Measure(0u, 0.0f);
      var from_ = Measure(0u, 0.0f);
      for (var step = 0u; step < 33u; step++) {
        if (step == 31u) { found = max(found, edge); }
        let bits = select(select(found, found + 1u, step == 31u), found | (1u << (30u - min(step, 30u))), step < 31u);
        let m = measure(base, lane, bits, edge, ties);
        if (step < 31u) {
          let holds = select(select(m.mass > goal, m.mass >= goal && m.mass > 0.0f, search == 1u), m.count >= k, search == 0u);
          if (holds) { found = bits; }
        } else if (step == 31u) {
          above = m;
        } else {
          from_ = m;
        }
      }
      let each = bitcast<f32>(found);
      if (search == 0u) {
        ties = k - above.count;
        goal = select(settings[1], 1.0f, greedy) * (above.mass + f32(ties) * each);
      } else if (search == 1u) {
        let available = select(from_.count - above.count, ties, found == edge);
        let needed = select(1u, max(u32(ceil((goal - above.mass) / each)), 1u), each > 0.0f && above.mass < goal);
        ties = min(needed, available);
        goal = uniform * (above.mass + f32(ties) * each);
      } else {
        tie = select(0u, u32(max((goal - above.mass) / each, 0.0f)), each > 0.0f);
        if (found == edge) { tie = min(tie, max(ties, 1u) - 1u); }
      }
      edge = found;
    }
    drawn = edge;`;

const body = (size: number): string => `
  if (group >= p.rows) { return; }
  let base = group * p.columns;
  let uniform = uniforms[group];
  let greedy = settings[2] != 0.0f;
  let topK = u32(max(settings[0], 0.0f));
  let whole = !greedy && (topK == 0u || topK >= p.limit) && settings[1] >= 1.0f;
  // Softmax makes all of a row NaN or none of it.
  if ((bitcast<u32>(probs[base]) & 0x7fffffffu) > 0x7f800000u) {
    if (lane == 0u) {
      atomicMin(&failed[0], group);
      ids[group] = 0;
    }
    return;
  }
  // The entry that is drawn, and which of those just as probable; neither matters when the whole distribution is inverted.
  var drawn = 0u;
  var tie = 0u;
  if (!whole) {${searches}
  }
  // Each lane owns neighbouring ids, so that sums over lanes in their order are sums over ids in theirs.
  let span = (p.limit + ${size - 1}u) / ${size}u;
  let first = min(lane * span, p.limit);
  let end = min(first + span, p.limit);
  var own = 0.0f;
  for (var id = first; id < end; id++) {
    let bits = bitsOf(base, id);
    own += select(select(0.0f, 1.0f, bits == drawn), bitcast<f32>(bits), whole);
  }
  workgroupBarrier();
  masses[lane] = own;
  workgroupBarrier();
  var sum = 0.0f;
  var total = 0.0f;
  for (var other = 0u; other < ${size}u; other++) {
    if (other == lane) { sum = total; }
    total += masses[other];
  }
  let goal = select(f32(tie) + 0.5f, uniform * total, whole);
  // The first id at which the sum passes the goal; rounding can leave the goal beyond the sum, then the last one that adds to it.
  var found = p.limit;
  var last = 0u;
  for (var id = first; id < end; id++) {
    let bits = bitsOf(base, id);
    let weight = select(select(0.0f, 1.0f, bits == drawn), bitcast<f32>(bits), whole);
    sum += weight;
    if (weight > 0.0f) {
      last = id;
      if (sum > goal && found == p.limit) { found = id; }
    }
  }
  // Every lane has to be through with the sums.
  workgroupBarrier();
  counts[lane] = found;
  masses[lane] = f32(last);
  workgroupBarrier();
  if (lane == 0u) {
    for (var other = 0u; other < ${size}u; other++) {
      found = min(found, counts[other]);
      last = max(last, u32(masses[other]));
    }
    ids[group] = i32(select(found, last, found == p.limit));
  }`;
