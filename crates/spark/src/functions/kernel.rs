//! Column-wise kernels as DataFusion functions.
//!
//! A kernel is a plain `fn` over whole columns. What it depends on besides its arguments
//! (ANSI or not, the session's time zone) is fixed at translation and part of the
//! function's identity, so that equal expressions are equal and nothing is read at run time.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, BooleanBuilder, Datum,
            NullBufferBuilder, PrimitiveArray, Scalar, StringArray, StringBuilder,
        },
        buffer::NullBuffer,
        datatypes::{DataType, Field, FieldRef},
    },
    common::{
        Result as DataFusionResult, ScalarValue,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
        expr::{Alias, Cast, ScalarFunction},
    },
};
use millstream_engine::{Result, SparkError, time::Zone};

use crate::{SessionConf, expression::TypedExpr};

/// How bad values are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// An error.
    Ansi,
    /// Null, or wrapping for integers (`spark.sql.ansi.enabled=false`).
    Legacy,
    /// Null (`try_cast`, `try_add`, ...).
    Try,
}

/// What a kernel depends on besides its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Evaluation {
    pub(crate) mode: Mode,
    /// The session's time zone.
    pub(crate) zone: Zone,
}

impl Evaluation {
    /// The session's own evaluation.
    pub(crate) fn of(conf: &SessionConf) -> Self {
        Self {
            mode: if conf.ansi { Mode::Ansi } else { Mode::Legacy },
            zone: Zone::parse(&conf.time_zone_id).unwrap_or(Zone::UTC),
        }
    }

    /// The same with another mode.
    pub(crate) fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    pub(crate) fn ansi(&self) -> bool {
        self.mode == Mode::Ansi
    }
}

/// Evaluates a function on one batch. The result has `rows` rows and the declared type.
pub(crate) type Kernel = fn(&Args) -> Result<ArrayRef>;

/// The arguments of one evaluation.
pub(crate) struct Args<'a> {
    values: &'a [ColumnarValue],
    /// Rows of the result.
    pub(crate) rows: usize,
    pub(crate) evaluation: Evaluation,
    pub(crate) return_type: &'a DataType,
}

impl Args<'_> {
    /// Number of arguments.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Argument `i` as a column of `rows` rows.
    pub(crate) fn array(&self, i: usize) -> Result<ArrayRef> {
        match self.values.get(i) {
            Some(value) => Ok(value.to_array(self.rows)?),
            None => Err(SparkError::internal(format!("argument {i} is missing"))),
        }
    }

    /// All arguments as columns.
    pub(crate) fn arrays(&self) -> Result<Vec<ArrayRef>> {
        (0..self.len()).map(|i| self.array(i)).collect()
    }

    /// Argument `i` as Arrow's compute kernels take it: a scalar stays one.
    pub(crate) fn datum(&self, i: usize) -> Result<Box<dyn Datum>> {
        match self.values.get(i) {
            Some(ColumnarValue::Array(array)) => Ok(Box::new(Arc::clone(array))),
            Some(ColumnarValue::Scalar(value)) => Ok(Box::new(Scalar::new(value.to_array()?))),
            None => Err(SparkError::internal(format!("argument {i} is missing"))),
        }
    }

    /// Argument `i` if it is the same for every row.
    pub(crate) fn scalar(&self, i: usize) -> Option<&ScalarValue> {
        match self.values.get(i) {
            Some(ColumnarValue::Scalar(value)) => Some(value),
            _ => None,
        }
    }

    /// Argument `i` as strings.
    pub(crate) fn strings(&self, i: usize) -> Result<StringArray> {
        self.array(i)?.as_string_opt::<i32>().cloned().ok_or_else(|| wrong_type(i, "string"))
    }

    /// Argument `i` as binary.
    pub(crate) fn binaries(&self, i: usize) -> Result<BinaryArray> {
        self.array(i)?.as_binary_opt::<i32>().cloned().ok_or_else(|| wrong_type(i, "binary"))
    }

    /// Argument `i` as booleans.
    pub(crate) fn booleans(&self, i: usize) -> Result<BooleanArray> {
        self.array(i)?.as_boolean_opt().cloned().ok_or_else(|| wrong_type(i, "boolean"))
    }

    /// Argument `i` as numbers, dates or timestamps of type `T`.
    pub(crate) fn primitives<T: ArrowPrimitiveType>(&self, i: usize) -> Result<PrimitiveArray<T>> {
        self.array(i)?.as_primitive_opt::<T>().cloned().ok_or_else(|| wrong_type(i, "primitive"))
    }

    /// Rows where no argument is null (`None`: all of them).
    pub(crate) fn validity(&self) -> Result<Option<NullBuffer>> {
        let mut all = None;
        for array in self.arrays()? {
            all = NullBuffer::union(all.as_ref(), array.logical_nulls().as_ref());
        }
        Ok(all)
    }

    /// A string a row where no argument is null; `f` writes it and answers whether there is one.
    pub(crate) fn build_strings(
        &self,
        mut f: impl FnMut(usize, &mut String) -> Result<bool>,
    ) -> Result<ArrayRef> {
        let valid = self.validity()?;
        let mut out = StringBuilder::with_capacity(self.rows, self.rows * 8);
        let mut cell = String::new();
        for row in 0..self.rows {
            cell.clear();
            if valid.as_ref().is_none_or(|v| v.is_valid(row)) && f(row, &mut cell)? {
                out.append_value(&cell);
            } else {
                out.append_null();
            }
        }
        Ok(Arc::new(out.finish()))
    }

    /// A number, date or timestamp a row where no argument is null.
    pub(crate) fn build<T: ArrowPrimitiveType>(
        &self,
        mut f: impl FnMut(usize) -> Result<Option<T::Native>>,
    ) -> Result<ArrayRef> {
        let valid = self.validity()?;
        let own_type = match self.return_type {
            own if PrimitiveArray::<T>::is_compatible(own) => own.clone(),
            _ => T::DATA_TYPE,
        };
        let (mut values, mut nulls) = (Vec::with_capacity(self.rows), NullBufferBuilder::new(self.rows));
        for row in 0..self.rows {
            let value = if valid.as_ref().is_none_or(|v| v.is_valid(row)) { f(row)? } else { None };
            nulls.append(value.is_some());
            values.push(value.unwrap_or_default());
        }
        let array = PrimitiveArray::<T>::new(values.into(), nulls.finish());
        Ok(Arc::new(array.with_data_type(own_type)))
    }

    /// A boolean a row where no argument is null.
    pub(crate) fn build_booleans(
        &self,
        mut f: impl FnMut(usize) -> Result<Option<bool>>,
    ) -> Result<ArrayRef> {
        let valid = self.validity()?;
        let mut out = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            if valid.as_ref().is_none_or(|v| v.is_valid(row)) {
                out.append_option(f(row)?);
            } else {
                out.append_null();
            }
        }
        Ok(Arc::new(out.finish()))
    }
}

fn wrong_type(i: usize, wanted: &str) -> SparkError {
    SparkError::internal(format!("argument {i} of a function is not {wanted}"))
}

/// The DataFusion function around a kernel.
#[derive(Debug, Clone)]
struct KernelFunction {
    name: String,
    field: FieldRef,
    evaluation: Evaluation,
    kernel: Kernel,
    signature: Signature,
    /// How deep calls nest below, and a hash of name and arguments, when the call was made.
    depth: usize,
    content: u64,
}

/// Calls nested deeper than this are named by their hash: DataFusion asks for the schema name of
/// every level at every level, which is cubic where names are spelled out.
const MAX_NAMED_DEPTH: usize = 16;

/// Whether `expr` has more than `levels` levels below it.
fn is_deep(expr: &Expr, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else { return true };
    let mut deep = false;
    let walked = expr.apply_children(|child| {
        deep = is_deep(child, left);
        Ok(if deep { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && deep
}

impl PartialEq for KernelFunction {
    fn eq(&self, other: &Self) -> bool {
        // A name stands for one kernel.
        self.name == other.name && self.field == other.field && self.evaluation == other.evaluation
    }
}

impl Eq for KernelFunction {}

impl Hash for KernelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.field.hash(state);
        self.evaluation.hash(state);
    }
}

impl ScalarUDFImpl for KernelFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> DataFusionResult<String> {
        if self.depth > MAX_NAMED_DEPTH {
            return Ok(format!("{}#{:016x}", self.name, self.content));
        }
        // Merged projections nest calls that were made apart.
        if args.iter().any(|arg| is_deep(arg, MAX_NAMED_DEPTH)) {
            let mut hasher = std::hash::DefaultHasher::new();
            args.hash(&mut hasher);
            return Ok(format!("{}#{:016x}", self.name, hasher.finish()));
        }
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.name, args.join(",")))
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DataFusionResult<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let constant = self.signature.volatility == Volatility::Immutable
            && args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let result = (self.kernel)(&Args {
            values: &args.args,
            rows,
            evaluation: self.evaluation,
            return_type: self.field.data_type(),
        })?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// A call of `kernel`; `name` stands for that kernel alone.
pub(crate) fn kernel_call(
    name: &str,
    kernel: Kernel,
    args: Vec<Expr>,
    data_type: DataType,
    nullable: bool,
    evaluation: Evaluation,
) -> Expr {
    call_with(name, kernel, args, Field::new("", data_type, nullable), evaluation, Volatility::Immutable)
}

/// A call of `kernel` that gives columns like `field`, metadata included.
pub(crate) fn marked_call(
    name: &str,
    kernel: Kernel,
    args: Vec<Expr>,
    field: &Field,
    evaluation: Evaluation,
) -> Expr {
    call_with(name, kernel, args, field.clone().with_name(""), evaluation, Volatility::Immutable)
}

/// A call that may give another result for each row or run (`rand`, row numbers).
pub(crate) fn volatile_call(
    name: &str,
    kernel: Kernel,
    args: Vec<Expr>,
    data_type: DataType,
    evaluation: Evaluation,
) -> Expr {
    call_with(name, kernel, args, Field::new("", data_type, false), evaluation, Volatility::Volatile)
}

/// Depth and content hash of a call; those of calls below are taken over.
fn nesting(name: &str, args: &[Expr]) -> (usize, u64) {
    let mut hasher = std::hash::DefaultHasher::new();
    name.hash(&mut hasher);
    let mut depth = 0;
    for arg in args {
        let mut inner = arg;
        while let Expr::Cast(Cast { expr, .. }) | Expr::Alias(Alias { expr, .. }) = inner {
            inner = expr;
        }
        let below = match inner {
            Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<KernelFunction>(),
            _ => None,
        };
        match below {
            Some(below) => {
                depth = depth.max(below.depth);
                below.content.hash(&mut hasher);
            }
            None => arg.hash(&mut hasher),
        }
    }
    (depth + 1, hasher.finish())
}

fn call_with(
    name: &str,
    kernel: Kernel,
    args: Vec<Expr>,
    field: Field,
    evaluation: Evaluation,
    volatility: Volatility,
) -> Expr {
    let (depth, content) = nesting(name, &args);
    let function = KernelFunction {
        depth,
        content,
        name: name.to_string(),
        field: Arc::new(field),
        evaluation,
        kernel,
        signature: Signature::user_defined(volatility),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args))
}

/// The DataFusion expressions of typed ones.
pub(crate) fn exprs(args: &[TypedExpr]) -> Vec<Expr> {
    args.iter().map(|arg| arg.expr.clone()).collect()
}
