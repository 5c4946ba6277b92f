// Accept-Language: which of the languages on offer a visitor likes best.

/**
 * RFC 9110 §12.5.4 with the "lookup" of RFC 4647 §3.4: `de-AT` is served by `de`. The first language on
 * offer is the default.
 */
export function preferredLanguage<T extends string>(header: string | null, offered: readonly [T, ...T[]]): T {
  const wanted = (header ?? "")
    .split(",")
    .map((part) => {
      const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
      const q = parameters.find((parameter) => parameter.startsWith("q="));
      return { range, weight: q === undefined ? 1 : Number(q.slice(2)) };
    })
    .filter(({ range, weight }) => range !== "" && weight > 0)
    // A stable sort: equal weights stay in the visitor's order.
    .sort((a, b) => b.weight - a.weight);

  for (const { range } of wanted) {
    if (range === "*") return offered[0];
    for (let tag = range; tag !== ""; tag = tag.slice(0, Math.max(tag.lastIndexOf("-"), 0))) {
      const match = offered.find((language) => language.toLowerCase() === tag);
      if (match !== undefined) return match;
    }
  }
  return offered[0];
}
