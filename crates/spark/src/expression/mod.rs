//! Expressions: Connect's unresolved trees into typed DataFusion expressions.

mod typed;

pub use typed::TypedExpr;
