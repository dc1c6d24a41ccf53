//! What an expression sees of the relation it stands on.

use datafusion::{arrow::datatypes::DataType, logical_expr::Expr};
use millstream_engine::{Result, SparkError, plan::RowFunction, time::WindowSpec};
use spark_connect_proto as proto;

use super::TypedExpr;

/// The names an expression may use, and the services it needs from its relation.
///
/// Implemented by relation translation; nothing in `expression` or `functions` knows
/// relations otherwise.
pub trait Scope {
    /// The column a multi-part name means: qualifiers, then the column, then struct fields
    /// (`t.a.b` is field `b` of column `a` of `t`). With `plan_id` only columns of the
    /// relation with that Connect plan id count. `metadata` asks for a metadata column.
    ///
    /// A column is a [`TypedExpr::attribute`]. A field access is named by its last part,
    /// has the dotted path as `sql`, and counts as `named`.
    ///
    /// # Errors
    /// `UNRESOLVED_COLUMN.*`, `AMBIGUOUS_REFERENCE`, `FIELD_NOT_FOUND`, ...
    fn resolve(&self, parts: &[String], plan_id: Option<i64>, metadata: bool) -> Result<TypedExpr>;

    /// The columns `*` (empty `target`), `t.*` or `column.*` stands for, in order.
    ///
    /// # Errors
    /// `CANNOT_RESOLVE_STAR_EXPAND`.
    fn columns(&self, target: &[String], plan_id: Option<i64>) -> Result<Vec<TypedExpr>>;

    /// Parses SQL text into the message a client would have sent.
    ///
    /// # Errors
    /// `PARSE_SYNTAX_ERROR` and its kin.
    fn parse_expression(&self, text: &str) -> Result<proto::Expression>;

    /// Parses a type name such as `decimal(10,2)` or `array<int>`.
    ///
    /// # Errors
    /// `UNSUPPORTED_DATATYPE`, `PARSE_SYNTAX_ERROR`.
    fn parse_type(&self, text: &str) -> Result<DataType>;

    /// Whether the relation is a stream.
    fn is_streaming(&self) -> bool;

    /// Asks the relation for the window column of `time` (a timestamp): a struct
    /// `{start, end}` of the time's type. The relation inserts `engine::plan::TimeWindow`
    /// below itself, once for equal arguments. The caller names the result.
    ///
    /// # Errors
    /// `MULTIPLE_TIME_WINDOWS` for a second, different window of one relation.
    fn window(&self, time: TypedExpr, spec: WindowSpec) -> Result<TypedExpr>;

    /// Asks the relation for the session column of `time` (a timestamp) that ends at `end`:
    /// as [`Scope::window`] with `engine::plan::SessionWindow`.
    ///
    /// # Errors
    /// As for [`Scope::window`].
    fn session_window(&self, time: TypedExpr, end: TypedExpr) -> Result<TypedExpr>;

    /// Asks the relation for a column of `function`, which is none of the values of a row.
    /// The relation inserts `engine::plan::Nondeterministic` below itself.
    ///
    /// # Errors
    /// `INVALID_NON_DETERMINISTIC_EXPRESSIONS` where the relation takes no such expression.
    fn nondeterministic(&self, function: RowFunction) -> Result<Expr> {
        let _ = function;
        Err(SparkError::unsupported("a nondeterministic function in this place"))
    }

    /// A seed for a random function that was given none.
    fn fresh_seed(&self) -> i64 {
        0
    }

    /// A Python function call. `arguments` are resolved already.
    ///
    /// # Errors
    /// `UNSUPPORTED_FEATURE.MILLSTREAM` unless the relation can run Python.
    fn python_udf(
        &self,
        function: &proto::CommonInlineUserDefinedFunction,
        arguments: Vec<TypedExpr>,
    ) -> Result<TypedExpr> {
        let _ = arguments;
        Err(SparkError::unsupported(format!("the Python function `{}`", function.function_name)))
    }

    /// A subquery expression; `values` are the resolved left-hand sides of an `IN`.
    ///
    /// # Errors
    /// `UNSUPPORTED_FEATURE.MILLSTREAM` unless the relation can plan subqueries.
    fn subquery(&self, subquery: &proto::SubqueryExpression, values: Vec<TypedExpr>) -> Result<TypedExpr> {
        let _ = (subquery, values);
        Err(SparkError::unsupported("a subquery expression"))
    }
}
