//! The keeper contracts as they really are, on anvil.

use crate::support::keeper::Chain;

#[tokio::test]
async fn the_contracts_deploy() {
    let chain = Chain::start().await;
    println!(
        "{} head {}",
        chain.deployment.to_yaml().unwrap(),
        chain.node.head().await
    );
}
