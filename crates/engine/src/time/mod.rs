//! Time: instants, the injectable clock, watermarks and window arithmetic.

mod clock;
mod instant;
mod window;
mod zone;

pub use clock::{Clock, SystemClock};
pub use instant::Millis;
pub use window::WindowSpec;
pub use zone::Zone;
