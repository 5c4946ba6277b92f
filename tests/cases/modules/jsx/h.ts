type Properties = Record<string, unknown> | null;
type Component = (properties: Record<string, unknown>) => string;

export const Fragment = ({ children }: { children?: unknown[] }) => (children ?? []).flat().join("");

export function h(type: string | Component, properties: Properties, ...children: unknown[]): string {
  if (typeof type === "function") return type({ ...properties, children });
  const attributes = Object.entries(properties ?? {}).map(([name, value]) => ` ${name}="${value}"`);
  return `<${type}${attributes.join("")}>${children.flat().join("")}</${type}>`;
}
