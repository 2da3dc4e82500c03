import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);
const path = require.resolve("solc/soljson.js"); // npm's compiler: nothing is downloaded at build time
const { version } = require("solc/package.json");
const settings = { viaIR: true, evmVersion: "prague", optimizer: { enabled: true, runs: 200 } };
const compiler = { version, path, settings };

export default defineConfig({
  solidity: { profiles: { default: compiler, production: compiler } },
  paths: { sources: "./contracts", tests: { solidity: "./tests/contracts" } },
  test: { solidity: { fuzz: { runs: 256, seed: "0x1" }, invariant: { runs: 256, depth: 64, failOnRevert: false } } },
});
