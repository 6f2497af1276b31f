// Makes the ABI files beside it from an unpacked npm package; see README.md.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [keeper, older, zos] = process.argv.slice(2);
if (!keeper || !older || !zos) throw new Error("usage: node extract.mjs KEEPER_0_13_2_DIRECTORY KEEPER_0_12_7_DIRECTORY ZOS_LIB_DIRECTORY");
const here = dirname(fileURLToPath(import.meta.url));

// Every event of a contract is kept; of its functions, those named here.
// Overloaded functions are named with their types.
const contracts = {
  ConditionStoreManager: [
    "initialize", "delegateCreateRole", "delegateUpdateRole", "updateConditionState", "getCondition",
    "getConditionListSize",
  ],
  AgreementStoreManager: [
    "initialize(address,address,address,address)",
    "createAgreement(bytes32,bytes32,bytes32,bytes32[],uint256[],uint256[],address[])",
    "getAgreement",
    "getAgreementListSize",
  ],
  TemplateStoreManager: [
    "initialize", "registerTemplateActorType", "proposeTemplate(bytes32,address[],bytes32[],string)", "approveTemplate",
    "revokeTemplate", "isTemplateIdApproved",
  ],
  DIDRegistry: [
    "initialize", "registerAttribute", "addDIDProvider", "removeDIDProvider", "transferDIDOwnership", "getDIDOwner",
    "isDIDProvider", "getDIDRegistrySize", "grantPermission", "revokePermission",
  ],
  OceanToken: ["initialize(address,address)", "addMinter", "mint", "approve", "balanceOf"],
  Dispenser: ["initialize(address,address)", "requestTokens"],
  LockRewardCondition: ["initialize(address,address,address)", "fulfill", "abortByTimeOut"],
  EscrowReward: ["initialize(address,address,address)", "fulfill", "abortByTimeOut"],
  ComputeExecutionCondition: ["initialize(address,address,address)", "fulfill", "abortByTimeOut"],
  EscrowComputeExecutionTemplate: [
    "initialize(address,address,address,address,address,address)",
    "createAgreement(bytes32,bytes32,bytes32[],uint256[],uint256[],address)",
  ],
};

// What 0.12.7 has and 0.13.2 no longer: template contracts are proposed and approved by their address.
const legacy = { TemplateStoreManager: ["proposeTemplate(address)", "approveTemplate(address)", "revokeTemplate(address)"] };

const signature = (entry) => `${entry.name}(${entry.inputs.map((input) => input.type).join(",")})`;
const wanted = (entry, functions) =>
  entry.type === "event" ||
  (entry.type === "function" && (functions.includes(entry.name) || functions.includes(signature(entry))));

// The old forms of stateMutability and the selector, which follows from the rest, are dropped.
const trimmed = ({ constant, payable, signature, ...facts }) => facts;

function write(name, path, functions, events = true) {
  const { abi } = JSON.parse(readFileSync(path, "utf8"));
  const lines = abi.filter((entry) => wanted(entry, functions) && (events || entry.type !== "event")).map((entry) => JSON.stringify(trimmed(entry)));
  writeFileSync(join(here, `${name}.json`), `[\n${lines.join(",\n")}\n]\n`);
}

for (const [name, functions] of Object.entries(contracts)) {
  write(name, join(keeper, "artifacts", `${name}.development.json`), functions);
}
for (const [name, functions] of Object.entries(legacy)) {
  write(`${name}-0.12.7`, join(older, "artifacts", `${name}.development.json`), functions, false);
}
write("Proxy", join(zos, "build", "contracts", "AdminUpgradeabilityProxy.json"), ["upgradeTo"]);
