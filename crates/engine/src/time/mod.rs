//! Time: instants, the injectable clock, watermarks and window arithmetic.

mod clock;
mod instant;
mod time_setting;
mod watermark;
mod window;
mod zone;

pub use clock::{Clock, SystemClock};
pub use instant::Millis;
pub use time_setting::time_setting_ms;
pub use watermark::{WatermarkPolicy, WatermarkTracker};
pub use window::WindowSpec;
pub use zone::Zone;
