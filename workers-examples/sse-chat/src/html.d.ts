// The bundler's default rule for `*.html`: the file's text.
declare module "*.html" {
  const text: string;
  export default text;
}
