//! Relations that only SQL text has, sent to translation as extension messages of our own,
//! and short ways to build Connect messages.

use prost::Message;
use spark_connect_proto::{
    self as proto,
    expression::{ExprType, UnresolvedAttribute, UnresolvedFunction},
    relation::RelType,
};

/// The function that stands for `aggregate FILTER (WHERE condition)`, which no message has:
/// its arguments are the call and the condition.
pub(crate) const FILTER_CLAUSE: &str = "__spark_filter_clause";

/// A grouped select list: unlike Connect's `Aggregate` it shows exactly its items.
#[derive(Clone, PartialEq, Message)]
pub struct GroupedSelect {
    /// What is grouped.
    #[prost(message, optional, boxed, tag = "1")]
    pub input: Option<Box<proto::Relation>>,
    /// Grouping expressions; positions and aliases of items among them.
    #[prost(message, repeated, tag = "2")]
    pub keys: Vec<proto::Expression>,
    /// The select list.
    #[prost(message, repeated, tag = "3")]
    pub items: Vec<proto::Expression>,
    /// `GROUP BY ALL`: the keys are the items without aggregates.
    #[prost(bool, tag = "4")]
    pub all: bool,
    /// Connect's group type: plain, rollup or cube.
    #[prost(enumeration = "proto::aggregate::GroupType", tag = "5")]
    pub group_type: i32,
    /// With the group type of grouping sets: which keys each of them has.
    #[prost(message, repeated, tag = "6")]
    pub sets: Vec<KeySet>,
}

/// One grouping set of a [`GroupedSelect`].
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct KeySet {
    /// Positions among the keys.
    #[prost(uint32, repeated, tag = "1")]
    pub keys: Vec<u32>,
}

/// `left NATURAL JOIN right`: by all columns that both have.
#[derive(Clone, PartialEq, Message)]
pub struct NaturalJoin {
    /// The join, without columns and condition.
    #[prost(message, optional, tag = "1")]
    pub join: Option<proto::Join>,
}

/// `VALUES (..), (..)`.
#[derive(Clone, PartialEq, Message)]
pub struct Values {
    /// The rows, of equal width.
    #[prost(message, repeated, tag = "1")]
    pub rows: Vec<ValuesRow>,
}

/// One row of [`Values`].
#[derive(Clone, PartialEq, Message)]
pub struct ValuesRow {
    /// The cells.
    #[prost(message, repeated, tag = "1")]
    pub cells: Vec<proto::Expression>,
}

/// `LATERAL VIEW [OUTER] generator(..) table AS columns`.
#[derive(Clone, PartialEq, Message)]
pub struct LateralView {
    /// The rows to extend.
    #[prost(message, optional, boxed, tag = "1")]
    pub input: Option<Box<proto::Relation>>,
    /// The generator call.
    #[prost(message, optional, tag = "2")]
    pub generator: Option<proto::Expression>,
    /// Qualifier of the new columns.
    #[prost(string, tag = "3")]
    pub table: String,
    /// Names of the new columns; empty for the generator's own.
    #[prost(string, repeated, tag = "4")]
    pub columns: Vec<String>,
}

impl GroupedSelect {
    /// Names the message in `Any`.
    pub const TYPE_URL: &str = "millstream/sql.GroupedSelect";
}

impl NaturalJoin {
    /// Names the message in `Any`.
    pub const TYPE_URL: &str = "millstream/sql.NaturalJoin";
}

impl Values {
    /// Names the message in `Any`.
    pub const TYPE_URL: &str = "millstream/sql.Values";
}

impl LateralView {
    /// Names the message in `Any`.
    pub const TYPE_URL: &str = "millstream/sql.LateralView";
}

/// A relation of type `rel_type`.
pub(crate) fn relation(rel_type: RelType) -> proto::Relation {
    proto::Relation { common: None, rel_type: Some(rel_type) }
}

/// A relation that is an extension message.
pub(crate) fn extension(type_url: &str, message: &impl Message) -> proto::Relation {
    let any = prost_types::Any { type_url: type_url.to_string(), value: message.encode_to_vec() };
    relation(RelType::Extension(any))
}

/// An expression of type `expr_type`.
pub(crate) fn expression(expr_type: ExprType) -> proto::Expression {
    proto::Expression { common: None, expr_type: Some(expr_type) }
}

/// A function call.
pub(crate) fn call(name: &str, arguments: Vec<proto::Expression>) -> proto::Expression {
    let call = UnresolvedFunction { function_name: name.to_string(), arguments, ..Default::default() };
    expression(ExprType::UnresolvedFunction(call))
}

/// A column by the parts of its name.
pub(crate) fn attribute(parts: &[String]) -> proto::Expression {
    let unparsed_identifier =
        parts.iter().map(|part| crate::types::quote_identifier(part)).collect::<Vec<_>>().join(".");
    expression(ExprType::UnresolvedAttribute(UnresolvedAttribute {
        unparsed_identifier,
        ..Default::default()
    }))
}

/// A literal.
pub(crate) fn literal(value: proto::expression::literal::LiteralType) -> proto::Expression {
    expression(ExprType::Literal(proto::expression::Literal {
        literal_type: Some(value),
        ..Default::default()
    }))
}

/// `child AS name`.
pub(crate) fn alias(child: proto::Expression, names: Vec<String>) -> proto::Expression {
    expression(ExprType::Alias(Box::new(proto::expression::Alias {
        expr: Some(Box::new(child)),
        name: names,
        metadata: None,
    })))
}

/// `child` cast to the type `type_text`.
pub(crate) fn cast(child: proto::Expression, type_text: &str, is_try: bool) -> proto::Expression {
    use proto::expression::cast::{CastToType, EvalMode};
    let eval_mode = if is_try { EvalMode::Try } else { EvalMode::Unspecified };
    expression(ExprType::Cast(Box::new(proto::expression::Cast {
        expr: Some(Box::new(child)),
        cast_to_type: Some(CastToType::TypeStr(type_text.to_string())),
        eval_mode: eval_mode.into(),
    })))
}
