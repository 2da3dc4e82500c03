import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

const require = createRequire(import.meta.url);
const path = require.resolve("solc/soljson.js"); // npm's compiler: nothing is downloaded at build time
const { version } = require("solc/package.json");
const settings = {
  viaIR: true,
  evmVersion: "prague",
  optimizer: { enabled: true, runs: 200 },
};
const compiler = { version, path, settings };

const {
  INVARIANT_RUNS = 256,
  INVARIANT_DEPTH = 64,
  FUZZ_SEED = "0x1",
} = process.env;

export default defineConfig({
  // The contracts are built by themselves, to the bytes that are packaged; tests deploy those (tests/contracts/Deploy.sol).
  solidity: {
    splitTestsCompilation: true,
    profiles: { default: compiler, production: compiler },
  },
  paths: { sources: "./contracts", tests: { solidity: "./tests/contracts" } },
  test: {
    solidity: {
      fuzz: { runs: 256, seed: FUZZ_SEED },
      invariant: {
        runs: Number(INVARIANT_RUNS),
        depth: Number(INVARIANT_DEPTH),
        failOnRevert: false,
      },
      fsPermissions: {
        readFile: ["tests/vectors/mechanism.json"],
        writeFile: ["cache/campaign.json"],
      },
    },
  },
});
