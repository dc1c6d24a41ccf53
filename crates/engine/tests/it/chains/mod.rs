//! Several stateful operators in one query: whole queries over files, with restarts and deaths at any
//! write, against a row-at-a-time model of Spark's rules.

mod limits;
mod oracle;
mod plan;
mod reference;
