// @ts-check
/**
 * The start of a module that wraps the Worker. The variable `memory` is the memory of the latest
 * WebAssembly instance.
 */
export const MEMORY_PROBE = `
  const { Instance } = WebAssembly;
  let memory;
  WebAssembly.Instance = function (module, imports) {
    const instance = new Instance(module, imports);
    memory = instance.exports.memory;
    return instance;
  };
`;
