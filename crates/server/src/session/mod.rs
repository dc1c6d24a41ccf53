//! Sessions: everything a client's `SparkSession` owns on this side.

pub mod artifacts;
pub mod conf;
pub mod listeners;
pub mod manager;
pub mod queries;
mod session_holder;
pub mod views;

pub use manager::SessionManager;
pub use session_holder::{Session, SessionKey};
