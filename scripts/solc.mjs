// Standard JSON in on stdin, standard JSON out on stdout; imports are read below the folder given.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const modules = join(process.argv[2], "node_modules");
const solc = createRequire(join(modules, "solc", "package.json"))("solc");

function readImport(path) {
  if (!path.startsWith("@openzeppelin/contracts/") || path.split("/").includes("..")) {
    return { error: `import outside the pinned library: ${path}` };
  }
  try {
    return { contents: readFileSync(join(modules, path), "utf8") };
  } catch (error) {
    return { error: String(error) };
  }
}

const output = JSON.parse(solc.compile(readFileSync(0, "utf8"), { import: readImport }));
process.stdout.write(JSON.stringify({ version: solc.version(), output }));
