#!/usr/bin/env node
// `pattoo-build [FILE] [-o OUTPUT] [--engine quickjs|starlingmonkey]`: makes a component of a collector.

import { mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, parse, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const USAGE = `Usage: pattoo-build [FILE] [-o OUTPUT] [--engine ENGINE]

Makes a WebAssembly component of a collector: a file in JavaScript or TypeScript that
exports the function \`collect\` (default: collector.js, else collector.ts).

  -o, --output OUTPUT  the component (default: the file's name with .wasm)
  --engine ENGINE      quickjs (default): small and quick to start, whole numbers up to 2^53
                       starlingmonkey: with the engine's own fetch, and 64 bits as BigInt
`;

/** Which packages make a component with an engine. */
const PACKAGES = { quickjs: "componentize-qjs", starlingmonkey: "@bytecodealliance/componentize-js" };
const VERSIONS = { esbuild: "0.28.2", "componentize-qjs": "0.4.5", "@bytecodealliance/componentize-js": "0.23.0" };

/** What keeps a component from being built, for the person at the terminal. */
class Problem extends Error {}

const sdk = resolve(dirname(await realpath(import.meta.filename ?? new URL(import.meta.url).pathname)), "..");

async function main() {
  const options = { output: { type: "string", short: "o" }, engine: { type: "string", default: "quickjs" }, help: { type: "boolean", short: "h" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help) return void process.stdout.write(USAGE);
  if (!(values.engine in PACKAGES)) throw new Problem(`there is no engine ${values.engine}; there are ${Object.keys(PACKAGES).join(" and ")}`);
  const source = resolve(positionals[0] ?? ((await exists("collector.js")) ? "collector.js" : "collector.ts"));
  if (!(await exists(source))) throw new Problem(`there is no file ${source}`);
  const output = values.output ?? `${parse(source).name}.wasm`;
  const component = await componentize(await bundle(source), values.engine, dirname(source));
  await writeFile(output, component);
  console.log(`${output}: ${(component.length / 1e6).toFixed(1)} MB`);
}

const exists = (path) => stat(path).then((found) => found.isFile(), () => false);

/** One module out of the collector and all that it imports. */
async function bundle(source) {
  const esbuild = await tool("esbuild", dirname(source));
  const contents = `import { collect as collector } from ${JSON.stringify(`./${basename(source)}`)};
import { exported } from "pattoo/component";
export const collect = exported(collector);
`;
  const result = await esbuild.build({
    stdin: { contents, resolveDir: dirname(source), sourcefile: "the component" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2022",
    keepNames: true,
    external: ["pattoo:*"],
    // The SDK itself.
    alias: { "pattoo/component": join(sdk, "src/component.js"), pattoo: join(sdk, "src/index.js") },
    logLevel: "warning",
  }).catch((error) => {
    if (error.errors === undefined) throw error;
    throw new Problem(`${source} was not built; what is wrong is above`);
  });
  return result.outputFiles[0].text;
}

async function componentize(code, engine, folder) {
  const { componentize: make } = await tool(PACKAGES[engine], folder);
  const witPath = await realpath(join(sdk, "wit"));
  if (engine === "quickjs") {
    const made = await make({ witPath, jsSource: code, world: "collector", sync: true });
    return made.component;
  }
  const scratch = await mkdtemp(join(folder, ".pattoo-build-"));
  try {
    const sourcePath = join(scratch, "collector.js");
    await writeFile(sourcePath, code);
    // It is no server, and so answers no requests.
    const made = await make({ sourcePath, witPath, worldName: "collector", disableFeatures: ["fetch-event"] });
    return made.component;
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** A package of the collector's own, else of the SDK's. */
async function tool(name, folder) {
  for (const place of [folder, process.cwd(), sdk]) {
    let found;
    try {
      found = createRequire(join(place, "package.json")).resolve(name);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND" && error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
      found = await onlyImported(name, place);
    }
    if (found !== undefined) {
      const loaded = await import(pathToFileURL(found));
      return loaded.default ?? loaded;
    }
  }
  throw new Problem(`${name} is missing; install it with: npm install --save-dev ${name}@${VERSIONS[name]}`);
}

/** The entry of a package that `require` does not see. */
async function onlyImported(name, place) {
  for (let folder = place; folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "node_modules", name, "package.json");
    if (await exists(manifest)) {
      const { exports: entries } = JSON.parse(await readFile(manifest, "utf8"));
      return join(dirname(manifest), entries?.import ?? entries?.default ?? "index.js");
    }
  }
  return undefined;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Problem) && !error.code?.startsWith("ERR_PARSE_ARGS")) throw error;
  process.stderr.write(`pattoo-build: ${error.message}\n`);
  process.exitCode = 1;
}
