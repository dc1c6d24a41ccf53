//! Operations: what an `ExecutePlan` call started, and the responses it has produced.

mod attach;
mod execute_holder;
mod operations;
mod response_buffer;

pub use attach::{ResponseStream, attach};
pub use execute_holder::{Operation, OperationState, Responses};
pub use operations::Operations;
pub use response_buffer::{Next, ResponseBuffer};
