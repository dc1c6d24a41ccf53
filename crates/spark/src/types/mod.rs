//! Spark's data types: as Arrow types inside, as Connect messages, JSON, DDL text and
//! trees outside.
//!
//! Inside the program a type is an Arrow `DataType` of the closed set in [`arrow`], a
//! column an Arrow `Field`. Whatever lies outside that set is refused by name.

mod arrow;
mod ddl;
mod json;
mod name;
mod proto;
mod tree;

pub use arrow::{
    TIMESTAMP_ZONE, decimal, field_comment, list_of, map_of, metadata_json, metadata_of_json, struct_of,
    timestamp, timestamp_ntz,
};
pub use ddl::{parse_data_type, parse_ddl, parse_schema};
pub use json::{from_json, schema_json, to_json};
pub use name::{catalog_string, quote_identifier, simple_string, sql_name, type_name};
pub use proto::{from_proto, struct_from_proto, struct_to_proto, to_proto};
pub use tree::tree_string;

#[cfg(test)]
mod tests;
