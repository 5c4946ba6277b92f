// The bundler's default rule for `*.wasm`: a module, compiled when the worker is deployed.
declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
