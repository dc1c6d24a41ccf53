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
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{
    attribute::Attribute,
    translator::{Frame, Translator},
    window_function,
};

impl Translator<'_> {
    pub(super) fn sample(&self, sample: &proto::Sample) -> Result<Frame> {
        let input = self.input(sample.input.as_deref())?.trimmed()?;
        if sample.with_replacement() {
            return Err(SparkError::unsupported("sample with replacement"));
        }
        let Some(seed) = sample.seed else { return Err(SparkError::unsupported("sample without a seed")) };
        if input.is_streaming {
            return Err(SparkError::unsupported("sample of a stream"));
        }
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
        let mut random = XorShift::new(self.seed);
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

/// Spark's `XORShiftRandom`.
struct XorShift {
    seed: i64,
}

impl XorShift {
    fn new(seed: i64) -> Self {
        let bytes = seed.to_be_bytes();
        let low = murmur3(&bytes, 0x3c07_4a61);
        let high = murmur3(&bytes, low);
        Self { seed: (i64::from(high.cast_signed()) << 32) | i64::from(low) }
    }

    fn next(&mut self, bits: u32) -> i32 {
        let mut next = self.seed ^ (self.seed << 21);
        next ^= (next.cast_unsigned() >> 35).cast_signed();
        next ^= next << 4;
        self.seed = next;
        let masked = next & ((1_i64 << bits) - 1);
        i32::try_from(masked & 0xffff_ffff)
            .unwrap_or_else(|_| u32::try_from(masked & 0xffff_ffff).unwrap_or_default().cast_signed())
    }

    /// As `java.util.Random.nextDouble`.
    fn next_double(&mut self) -> f64 {
        let high = i64::from(self.next(26)) << 27;
        let sum = high + i64::from(self.next(27));
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
        let whole = sum as f64;
        whole * (1.0 / (1_i64 << 53) as f64)
    }
}

/// Scala's `MurmurHash3.bytesHash`.
fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mut hash = seed;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        hash = (hash ^ mix(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let tail = chunks.remainder().iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
    if !chunks.remainder().is_empty() {
        hash ^= mix(tail);
    }
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn mix(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}
