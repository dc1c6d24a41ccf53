//! The aggregate library as DataFusion functions, for batch queries and for plans in general.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, BooleanArray},
        compute::filter,
        datatypes::{DataType, FieldRef},
    },
    common::{Result as DataFusionResult, ScalarValue},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};

use super::{
    AggregateBuffer, AggregateCall, AggregateOptions, Arrival, hyperloglog, sliding::Sliding, typing,
};
use crate::{Result, SparkError};

/// The aggregate function `name` as DataFusion takes it.
///
/// Pass `distinct` and `ignore_nulls` in `options` (DataFusion's own flags are honoured too,
/// but its optimiser rewrites some distinct calls into two steps that Spark types differently).
///
/// # Errors
/// `UNRESOLVED_ROUTINE` when there is no such function, `FAILED_FUNCTION_CALL` for a relative
/// standard deviation above 0.39.
pub fn udaf(name: &str, options: AggregateOptions) -> Result<Arc<AggregateUDF>> {
    let lower = name.to_ascii_lowercase();
    if !typing::names().any(|known| known == lower) {
        typing::resolve(name, &[], &options)?;
    }
    if let Some(relative_sd) = options.relative_sd {
        hyperloglog::precision(relative_sd)?;
    }
    let function =
        SparkAggregate { name: lower, options, signature: Signature::user_defined(Volatility::Immutable) };
    Ok(Arc::new(AggregateUDF::new_from_impl(function)))
}

/// A Spark aggregate function inside a DataFusion plan; the streaming planner reads its
/// name and options back.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SparkAggregate {
    name: String,
    options: AggregateOptions,
    signature: Signature,
}

impl SparkAggregate {
    /// The function inside `udf`, `None` when it is not one of ours.
    pub fn of(udf: &AggregateUDF) -> Option<&Self> {
        udf.inner().downcast_ref::<Self>()
    }

    /// Whether each distinct tuple of arguments counts once.
    pub fn is_distinct(&self) -> bool {
        self.options.distinct
    }

    /// The call with these argument types; `distinct` and `ignore_nulls` add to the options.
    ///
    /// # Errors
    /// As [`super::return_type`].
    pub fn call(&self, args: &[DataType], distinct: bool, ignore_nulls: bool) -> Result<AggregateCall> {
        let mut options = self.options;
        options.distinct |= distinct;
        options.ignore_nulls |= ignore_nulls;
        AggregateCall::resolve(&self.name, args, options)
    }

    fn call_of(&self, args: &AccumulatorArgs<'_>) -> Result<AggregateCall> {
        let types: Vec<_> = args.expr_fields.iter().map(|f| f.data_type().clone()).collect();
        self.call(&types, args.is_distinct, args.ignore_nulls)
    }
}

impl AggregateUDFImpl for SparkAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(self.call(arg_types, false, false)?.inputs().to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.call(arg_types, false, false)?.output().clone())
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> DataFusionResult<FieldRef> {
        let types: Vec<_> = arg_fields.iter().map(|f| f.data_type().clone()).collect();
        Ok(self.call(&types, false, false)?.output_field(&self.name))
    }

    fn is_nullable(&self) -> bool {
        !matches!(
            self.name.as_str(),
            "count" | "count_if" | "regr_count" | "approx_count_distinct" | "collect_list" | "collect_set"
        )
    }

    fn default_value(&self, data_type: &DataType) -> DataFusionResult<ScalarValue> {
        match (typing::nullable(&self.name), data_type) {
            (false, DataType::Int64) => Ok(ScalarValue::Int64(Some(0))),
            (false, DataType::List(element)) => {
                Ok(ScalarValue::List(ScalarValue::new_list(&[], element.data_type(), element.is_nullable())))
            }
            _ => ScalarValue::try_from(data_type),
        }
    }

    fn supports_null_handling_clause(&self) -> bool {
        true
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DataFusionResult<Vec<FieldRef>> {
        let types: Vec<_> = args.input_fields.iter().map(|f| f.data_type().clone()).collect();
        let fields = self.call(&types, args.is_distinct, false)?.buffer_fields()?;
        let named = fields.into_iter().enumerate().map(|(i, f)| f.with_name(format!("{}[{i}]", args.name)));
        Ok(named.map(Arc::new).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(Buffered::new(self.call_of(&args)?)?))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(Sliding::new(self.call_of(&args)?)?))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> DataFusionResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Buffered::new(self.call_of(&args)?)?))
    }
}

/// Our buffers behind DataFusion's accumulator traits.
///
/// Slot of group `g` is `g + emitted`: groups leave from the front, and the front is given
/// back once it is half of all slots.
struct Buffered {
    call: AggregateCall,
    buffer: Box<dyn AggregateBuffer>,
    emitted: usize,
    groups: usize,
    /// Rows and merged batches so far: the order of arrival.
    rows: i64,
    merges: i64,
}

impl fmt::Debug for Buffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffered").field("call", &self.call.name()).field("groups", &self.groups).finish()
    }
}

impl Buffered {
    fn new(call: AggregateCall) -> Result<Self> {
        let buffer = call.create()?;
        Ok(Self { call, buffer, emitted: 0, groups: 0, rows: 0, merges: 0 })
    }

    fn slots(&self, groups: impl Iterator<Item = usize>) -> Result<Vec<u32>> {
        groups.map(|g| slot(g + self.emitted)).collect()
    }

    fn grow(&mut self, groups: usize) {
        self.groups = self.groups.max(groups);
        self.buffer.grow(self.groups + self.emitted);
    }

    fn update(&mut self, args: Vec<ArrayRef>, slots: &[u32]) -> Result<()> {
        let args = self.call.cast_arguments(args)?;
        self.buffer.update(slots, &args, Arrival { batch: self.merges, row: self.rows })?;
        self.rows += i64::try_from(slots.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    fn merge(&mut self, columns: &[ArrayRef], slots: &[u32]) -> Result<()> {
        self.merges += 1;
        self.buffer.merge_arrived(slots, columns, self.merges)
    }

    fn leaving(&self, emit_to: EmitTo) -> usize {
        match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(n) => n,
        }
    }

    /// Drops the first `n` groups.
    fn leave(&mut self, n: usize) -> Result<()> {
        self.emitted += n;
        self.groups -= n;
        if self.groups == 0 || self.emitted > self.groups {
            let kept = self.buffer.export(&self.slots(0..self.groups)?)?;
            self.emitted = 0;
            self.buffer = self.call.create()?;
            self.buffer.grow(self.groups);
            let slots = self.slots(0..self.groups)?;
            self.buffer.merge_columns(&slots, &kept)?;
        }
        Ok(())
    }
}

fn slot(index: usize) -> Result<u32> {
    u32::try_from(index).map_err(|_| SparkError::internal("an aggregate has more than 2^32 groups"))
}

impl GroupsAccumulator for Buffered {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DataFusionResult<()> {
        self.grow(total_num_groups);
        match opt_filter {
            None => {
                let slots = self.slots(group_indices.iter().copied())?;
                self.update(values.to_vec(), &slots)?;
            }
            Some(mask) => {
                let passing = (0..mask.len()).filter(|i| mask.is_valid(*i) && mask.value(*i));
                let slots = self.slots(passing.map(|i| group_indices[i]))?;
                let values = values.iter().map(|v| filter(v, mask)).collect::<Result<Vec<_>, _>>()?;
                self.update(values, &slots)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DataFusionResult<ArrayRef> {
        let n = self.leaving(emit_to);
        let result = self.buffer.evaluate(&self.slots(0..n)?)?;
        self.leave(n)?;
        Ok(result)
    }

    fn state(&mut self, emit_to: EmitTo) -> DataFusionResult<Vec<ArrayRef>> {
        let n = self.leaving(emit_to);
        let result = self.buffer.export(&self.slots(0..n)?)?;
        self.leave(n)?;
        Ok(result)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> DataFusionResult<()> {
        self.grow(total_num_groups);
        let slots = self.slots(group_indices.iter().copied())?;
        Ok(self.merge(values, &slots)?)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> DataFusionResult<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |v| v.len());
        let mut each = Self::new(self.call.clone())?;
        GroupsAccumulator::update_batch(&mut each, values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        GroupsAccumulator::state(&mut each, EmitTo::All)
    }

    fn size(&self) -> usize {
        self.buffer.memory()
    }
}

impl Accumulator for Buffered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.grow(1);
        let slots = vec![0; values.first().map_or(0, |v| v.len())];
        Ok(self.update(values.to_vec(), &slots)?)
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        self.grow(1);
        ScalarValue::try_from_array(&self.buffer.evaluate(&[0])?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.buffer.memory()
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        self.grow(1);
        self.buffer.export(&[0])?.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        self.grow(1);
        let slots = vec![0; states.first().map_or(0, |v| v.len())];
        Ok(self.merge(states, &slots)?)
    }
}
