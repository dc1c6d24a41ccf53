//! The two tokio runtimes: one for the network, one for queries, so that a busy query never
//! delays an answer.
//!
//! All threads have large stacks, because plans nest deeply and decoding, translating,
//! planning and dropping them recurse. Stacks are reserved address space; only touched
//! pages cost memory.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

/// Stack of every runtime thread; holds plans of [`crate::connect::codec::MAX_NESTING`].
const STACK_BYTES: usize = 256 << 20;

/// The runtimes of a server.
#[derive(Debug)]
pub struct Runtimes {
    /// Sockets, requests, responses.
    pub network: Runtime,
    /// Queries.
    pub engine: Runtime,
}

impl Runtimes {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the machine refuses threads.
    pub fn start() -> Result<Self> {
        let network = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(8)
            .thread_name("millstream-net")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .context("cannot start the network threads")?;
        let engine = Builder::new_multi_thread()
            .thread_name("millstream-run")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .context("cannot start the query threads")?;
        Ok(Self { network, engine })
    }
}
