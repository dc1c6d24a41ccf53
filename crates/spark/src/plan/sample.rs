//! `Sample`: Spark's Bernoulli sampler, for one partition the very same rows.
//!
//! Spark draws a number for each row from a generator seeded per partition and keeps the row
//! when it falls into the bounds. Here the rows are numbered in order and the same numbers
//! are drawn, as for a single partition.
//!
//! Spark differs: with several partitions other rows are drawn (equally many on average).

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{BooleanArray, UInt64Array},
        datatypes::DataType,
    },
    common::{Column, DataFusionError, ScalarValue, cast::as_uint64_array},
    functions_window::row_number::row_number_udwf,
    logical_expr::{
        ColumnarValue, Expr, Filter, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        SortExpr, Volatility, WindowFunctionDefinition, expr::WindowFunction,
    },
};
use millstream_engine::{Result, SparkError, operators::XorShiftRandom};
use spark_connect_proto as proto;

use super::{
    attribute::Attribute,
    translator::{Frame, Translator},
    window_function,
};

/// By how much a fraction may leave its interval, as in Spark.
const ROUNDING: f64 = 1e-6;

impl Translator<'_> {
    pub(super) fn sample(&self, sample: &proto::Sample) -> Result<Frame> {
        let input = self.input(sample.input.as_deref())?.trimmed()?;
        if input.is_streaming {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102")
                .with("msg", "Sampling is not supported on streaming DataFrames/Datasets"));
        }
        if sample.with_replacement() {
            return Err(SparkError::unsupported("sample with replacement"));
        }
        let fraction = sample.upper_bound - sample.lower_bound;
        if !(-ROUNDING..=1.0 + ROUNDING).contains(&fraction) {
            let message =
                format!("Sampling fraction ({fraction:?}) must be on interval [0, 1] without replacement");
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_REQUIREMENT").with("message", message));
        }
        let seed = sample.seed.unwrap_or_else(|| self.fresh_seed());
        let number = self.new_id();
        let mut window =
            WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), Vec::new());
        if sample.deterministic_order {
            window.params.order_by = order(&input);
        }
        let window = vec![(Expr::WindowFunction(Box::new(window)), number.clone())];
        let numbered = window_function::computed(&input, window)?;
        let sampler = Bernoulli {
            seed,
            lower: sample.lower_bound.to_bits(),
            upper: sample.upper_bound.to_bits(),
            signature: Signature::exact(vec![DataType::UInt64], Volatility::Immutable),
        };
        let chosen =
            ScalarUDF::new_from_impl(sampler).call(vec![Expr::Column(Column::new_unqualified(&number))]);
        let plan = LogicalPlan::Filter(Filter::try_new(chosen, Arc::new(numbered))?);
        input.with_plan(plan).trimmed()
    }
}

/// An order that depends on its values alone, as `randomSplit` asks for.
fn order(input: &Frame) -> Vec<SortExpr> {
    let sortable = |a: &&Attribute| !matches!(a.field.data_type(), DataType::Map(..));
    input.columns.iter().filter(sortable).map(|a| SortExpr::new(a.expr(), true, true)).collect()
}

/// Whether the row of a number (counted from 1) is drawn.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bernoulli {
    seed: i64,
    lower: u64,
    upper: u64,
    signature: Signature,
}

impl ScalarUDFImpl for Bernoulli {
    fn name(&self) -> &str {
        "bernoulli_sample"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        let numbers = match args.args.first() {
            Some(ColumnarValue::Array(array)) => as_uint64_array(array)?.clone(),
            Some(ColumnarValue::Scalar(ScalarValue::UInt64(Some(n)))) => UInt64Array::from(vec![*n]),
            _ => return Err(DataFusionError::from(SparkError::internal("a sample without row numbers"))),
        };
        let (lower, upper) = (f64::from_bits(self.lower), f64::from_bits(self.upper));
        let mut random = XorShiftRandom::new(self.seed);
        let mut at = 1;
        let mut drawn = None;
        let mut chosen = Vec::with_capacity(numbers.len());
        for number in numbers.iter() {
            let number = number.unwrap_or_default();
            while at <= number {
                drawn = Some(random.next_double());
                at += 1;
            }
            chosen.push(drawn.is_some_and(|x| lower <= x && x < upper));
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(chosen))))
    }
}
