//! Whether an admitted pod is the one that was rendered. Pure.
