//! A resolved aggregate call: typing done, ready to make buffers.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::arrow::{
    array::ArrayRef,
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, DurationMicrosecondType, Field, Int64Type},
};

use super::{
    AggregateBuffer,
    average::{DecimalAverage, DoubleAverage},
    bitwise::bitwise,
    central_moments::CentralMoments,
    collect::{CollectList, CollectSet},
    count::Count,
    covariance::Covariance,
    distinct::Distinct,
    extremum::extremum,
    extremum_by::ExtremumBy,
    histogram::Histogram,
    hyperloglog::{DEFAULT_RELATIVE_SD, HyperLogLog},
    percentile::{Percentile, Rank},
    positional::Positional,
    sum::{DecimalSum, DoubleSum, IntegerSum, Overflow},
    typing::{self, Function, Signature},
};
use crate::{Result, SparkError};

/// What steers a call besides its arguments.
#[derive(Debug, Clone, Copy, Default)]
pub struct AggregateOptions {
    /// `spark.sql.ansi.enabled`: overflow is an error.
    pub ansi: bool,
    /// `first(x, true)`, `IGNORE NULLS`.
    pub ignore_nulls: bool,
    /// Each distinct tuple of non-null arguments counts once (batch queries only).
    pub distinct: bool,
    /// `approx_count_distinct(x, rsd)`; Spark's default is 0.05.
    pub relative_sd: Option<f64>,
    /// `histogram_numeric(x, nb)`, 2 or more.
    pub bins: Option<u32>,
}

impl PartialEq for AggregateOptions {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for AggregateOptions {}

impl Hash for AggregateOptions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl AggregateOptions {
    fn key(&self) -> (bool, bool, bool, Option<u64>, Option<u32>) {
        (self.ansi, self.ignore_nulls, self.distinct, self.relative_sd.map(f64::to_bits), self.bins)
    }
}

/// An aggregate function applied to argument types.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateCall {
    name: String,
    options: AggregateOptions,
    signature: Signature,
}

impl AggregateCall {
    /// Types `name(args)`; `args` are the types before implicit casts.
    ///
    /// # Errors
    /// As [`super::return_type`].
    pub fn resolve(name: &str, args: &[DataType], options: AggregateOptions) -> Result<Self> {
        let signature = typing::resolve(name, args, &options)?;
        Ok(Self { name: name.to_ascii_lowercase(), options, signature })
    }

    /// The function's name in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Types the buffers take; see [`AggregateCall::cast_arguments`].
    pub fn inputs(&self) -> &[DataType] {
        &self.signature.inputs
    }

    /// Type of the result.
    pub fn output(&self) -> &DataType {
        &self.signature.output
    }

    /// Whether the result may be null.
    pub fn nullable(&self) -> bool {
        self.signature.nullable
    }

    /// Whether rows may be aggregated in parts that are merged afterwards: the result is the same, but
    /// for the last bits of floats.
    pub fn ignores_order(&self) -> bool {
        let ignores = matches!(
            self.signature.function,
            Function::Count
                | Function::CountPairs
                | Function::CountIf
                | Function::Extremum(_)
                | Function::ApproxCountDistinct
                | Function::Bitwise(_)
                | Function::Sum
                | Function::TrySum
                | Function::Avg
                | Function::TryAvg
        );
        ignores && !self.options.distinct
    }

    /// Casts argument columns to [`AggregateCall::inputs`] where they differ.
    ///
    /// # Errors
    /// When a value has no counterpart (text that is no number).
    pub fn cast_arguments(&self, mut args: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        for (arg, wanted) in args.iter_mut().zip(self.inputs()) {
            if arg.data_type() != wanted {
                *arg = cast_with_options(arg, wanted, &strict)?;
            }
        }
        Ok(args)
    }

    /// Empty buffers.
    ///
    /// # Errors
    /// `UNSUPPORTED_FEATURE` for a type no buffer exists for.
    pub fn create(&self) -> Result<Box<dyn AggregateBuffer>> {
        let Signature { function, inputs, output, .. } = &self.signature;
        let overflow = match function {
            Function::TrySum | Function::TryAvg => Overflow::Null,
            _ if self.options.ansi => Overflow::Fail,
            _ => Overflow::Wrap,
        };
        let input = inputs.first().unwrap_or(&DataType::Null);
        let buffer: Box<dyn AggregateBuffer> = match function {
            Function::Count | Function::CountPairs => Box::new(Count::new(false)),
            Function::CountIf => Box::new(Count::new(true)),
            Function::Extremum(end) => extremum(input, *end)?,
            Function::ExtremumBy(end) => {
                let order = inputs.get(1).unwrap_or(&DataType::Null);
                Box::new(ExtremumBy::new(*end, input.clone(), order.clone())?)
            }
            Function::Positional(place) => {
                Box::new(Positional::new(*place, self.options.ignore_nulls, input.clone()))
            }
            Function::CollectList => Box::new(CollectList::new(input)),
            Function::CollectSet => Box::new(CollectSet::new(input)?),
            Function::ApproxCountDistinct => {
                Box::new(HyperLogLog::new(self.options.relative_sd.unwrap_or(DEFAULT_RELATIVE_SD))?)
            }
            Function::Histogram => {
                Box::new(Histogram::new(input, self.options.bins.map_or(2, |bins| bins.max(2) as usize)))
            }
            Function::Percentile(rank) => Box::new(Percentile::new(*rank, input, output)),
            Function::Median => Box::new(Percentile::new(Rank::Exact, input, output).fixed(vec![0.5])),
            Function::Bitwise(bits) => bitwise(input, *bits),
            Function::Moment(moment) => Box::new(CentralMoments::new(*moment)),
            Function::Covariance(relation) => Box::new(Covariance::new(*relation)),
            Function::Sum | Function::TrySum => match output {
                DataType::Int64 => Box::new(IntegerSum::<Int64Type>::new(overflow)),
                DataType::Duration(_) => {
                    // Intervals always fail on overflow, as in Spark.
                    let overflow = if overflow == Overflow::Null { overflow } else { Overflow::Fail };
                    Box::new(IntegerSum::<DurationMicrosecondType>::new(overflow))
                }
                DataType::Decimal128(precision, scale) => {
                    Box::new(DecimalSum::new(*precision, *scale, overflow))
                }
                _ => Box::new(DoubleSum::default()),
            },
            Function::Avg | Function::TryAvg => match (typing::sum_type(input), output) {
                (DataType::Decimal128(p, s), DataType::Decimal128(precision, scale)) => {
                    Box::new(DecimalAverage::new((p, s), (*precision, *scale), overflow))
                }
                (DataType::Float64, _) => Box::new(DoubleAverage::default()),
                _ => return Err(SparkError::unsupported("avg of an interval")),
            },
        };
        // The extremes and the sets are the same with and without.
        let once = self.options.distinct && !matches!(function, Function::Extremum(_) | Function::CollectSet);
        Ok(if once { Box::new(Distinct::new(inputs, buffer)?) } else { buffer })
    }

    /// The columns of [`AggregateBuffer::export`], in order.
    ///
    /// # Errors
    /// As [`AggregateCall::create`].
    pub fn buffer_fields(&self) -> Result<Vec<Field>> {
        let columns = self.create()?.export(&[])?;
        let name = |i: usize| format!("{}_{i}", self.name);
        Ok(columns
            .iter()
            .enumerate()
            .map(|(i, c)| Field::new(name(i), c.data_type().clone(), true))
            .collect())
    }

    /// A shareable field for the result called `name`.
    pub fn output_field(&self, name: &str) -> Arc<Field> {
        Arc::new(Field::new(name, self.output().clone(), self.nullable()))
    }
}
