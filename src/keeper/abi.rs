//! Bindings generated from `abi/*.json`, facts taken from the published package (see `abi/README.md`).
//!
//! Only encoding and decoding is generated, no client: the pure parts of this module stay free of any provider.

use alloy::sol;

sol!(ConditionStoreManager, "abi/ConditionStoreManager.json");
sol!(AgreementStoreManager, "abi/AgreementStoreManager.json");
sol!(TemplateStoreManager, "abi/TemplateStoreManager.json");
sol!(DIDRegistry, "abi/DIDRegistry.json");
sol!(OceanToken, "abi/OceanToken.json");
sol!(Dispenser, "abi/Dispenser.json");
sol!(LockRewardCondition, "abi/LockRewardCondition.json");
sol!(EscrowReward, "abi/EscrowReward.json");
sol!(
    ComputeExecutionCondition,
    "abi/ComputeExecutionCondition.json"
);
sol!(
    EscrowComputeExecutionTemplate,
    "abi/EscrowComputeExecutionTemplate.json"
);
sol!(Proxy, "abi/Proxy.json");
