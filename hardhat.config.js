import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);
const path = require.resolve("solc/soljson.js"); // npm's compiler: nothing is downloaded at build time
const { version } = require("solc/package.json");
const settings = { viaIR: true, evmVersion: "prague", optimizer: { enabled: true, runs: 200 } };
const compiler = { version, path, settings };

// Contracts are built by themselves, to the bytes that are packaged, and tests deploy those: tests/contracts/Deploy.sol. So
// a test's own code needs no optimiser, which would take ten times as long, unless a library to be tested is a part of it.
const plain = { ...compiler, settings: { evmVersion: "prague" } };
const optimised = ["Isqrt", "Mechanism", "Rows", "Seats", "Sketch", "Vectors"].map((name) => `${name}.t.sol`);
const overrides = {};
for (const name of readdirSync(new URL("tests/contracts", import.meta.url), { recursive: true })) {
  if (name.endsWith(".sol") && !optimised.includes(name)) overrides[`tests/contracts/${name}`] = plain;
}
const profile = { compilers: [compiler], overrides };

const { INVARIANT_RUNS = 256, INVARIANT_DEPTH = 64, FUZZ_SEED = "0x1" } = process.env;

export default defineConfig({
  solidity: { splitTestsCompilation: true, profiles: { default: profile, production: profile } },
  paths: { sources: "./contracts", tests: { solidity: "./tests/contracts" } },
  test: {
    solidity: {
      fuzz: { runs: 256, seed: FUZZ_SEED },
      invariant: { runs: Number(INVARIANT_RUNS), depth: Number(INVARIANT_DEPTH), failOnRevert: false },
      fsPermissions: { readFile: ["tests/vectors/mechanism.json"], writeFile: ["cache/campaign.json"] },
    },
  },
});
