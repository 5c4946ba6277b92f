// The variants of an experiment and the choice between them by weight.

const VARIANT = /^\s*([a-z0-9-]+)\s*=\s*(\d+)\s*$/;

/**
 * Reads `control=90, bold=10`.
 * @param {string} text
 * @returns {Map<string, number>} weights by name
 */
export function parseVariants(text) {
  /** @type {Map<string, number>} */
  const variants = new Map();
  for (const part of text.split(",")) {
    const match = VARIANT.exec(part);
    if (match === null) throw new Error(`VARIANTS: write NAME=WEIGHT, not "${part.trim()}"`);
    variants.set(String(match[1]), Number(match[2]));
  }
  if (total(variants) === 0) throw new Error("VARIANTS: one weight has to be above 0");
  return variants;
}

/**
 * The variant at a point of the weights laid end to end.
 * @param {Map<string, number>} variants
 * @param {number} at from 0, below 1
 * @returns {string}
 */
export function pick(variants, at) {
  let left = at * total(variants);
  for (const [name, weight] of variants) {
    left -= weight;
    if (left < 0) return name;
  }
  throw new RangeError("`at` has to be below 1");
}

/** @param {Map<string, number>} variants */
function total(variants) {
  return [...variants.values()].reduce((sum, weight) => sum + weight, 0);
}
