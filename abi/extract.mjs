// Makes the ABI files beside it from an unpacked npm package; see README.md.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [keeper, zos] = process.argv.slice(2);
if (!keeper || !zos) throw new Error("usage: node extract.mjs KEEPER_PACKAGE_DIRECTORY ZOS_LIB_PACKAGE_DIRECTORY");
const here = dirname(fileURLToPath(import.meta.url));

// Every event of a contract is kept; of its functions, those named here.
// Overloaded functions are named with their types.
const contracts = {
  ConditionStoreManager: ["initialize", "delegateCreateRole", "getCondition", "getConditionListSize"],
  AgreementStoreManager: [
    "initialize(address,address,address,address)",
    "createAgreement(bytes32,bytes32,bytes32,bytes32[],uint256[],uint256[],address[])",
    "getAgreement",
    "getAgreementListSize",
  ],
  TemplateStoreManager: [
    "initialize", "registerTemplateActorType", "proposeTemplate(bytes32,address[],bytes32[],string)", "approveTemplate",
    "isTemplateIdApproved",
  ],
  DIDRegistry: [
    "initialize", "registerAttribute", "addDIDProvider", "removeDIDProvider", "transferDIDOwnership", "getDIDOwner",
    "isDIDProvider", "getDIDRegistrySize",
  ],
  OceanToken: ["initialize(address,address)", "addMinter", "mint", "approve", "balanceOf"],
  Dispenser: ["initialize(address,address)", "requestTokens"],
  LockRewardCondition: ["initialize(address,address,address)", "fulfill", "abortByTimeOut"],
  EscrowReward: ["initialize(address,address,address)", "fulfill", "abortByTimeOut"],
  ComputeExecutionCondition: ["initialize(address,address,address)", "fulfill", "abortByTimeOut"],
  EscrowComputeExecutionTemplate: [],
};

const signature = (entry) => `${entry.name}(${entry.inputs.map((input) => input.type).join(",")})`;
const wanted = (entry, functions) =>
  entry.type === "event" ||
  (entry.type === "function" && (functions.includes(entry.name) || functions.includes(signature(entry))));

// The old forms of stateMutability and the selector, which follows from the rest, are dropped.
const trimmed = ({ constant, payable, signature, ...facts }) => facts;

function write(name, path, functions) {
  const { abi } = JSON.parse(readFileSync(path, "utf8"));
  const lines = abi.filter((entry) => wanted(entry, functions)).map((entry) => JSON.stringify(trimmed(entry)));
  writeFileSync(join(here, `${name}.json`), `[\n${lines.join(",\n")}\n]\n`);
}

for (const [name, functions] of Object.entries(contracts)) {
  write(name, join(keeper, "artifacts", `${name}.development.json`), functions);
}
write("Proxy", join(zos, "build", "contracts", "AdminUpgradeabilityProxy.json"), []);
