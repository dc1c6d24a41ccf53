//! Time: instants, the injectable clock, watermarks and window arithmetic.

mod clock;
mod instant;
mod window;

pub use clock::{Clock, SystemClock};
pub use instant::Millis;
pub use window::WindowSpec;
