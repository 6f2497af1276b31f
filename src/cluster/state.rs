//! What a workflow needs next. Pure.
