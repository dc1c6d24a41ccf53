//! Timestamps whose every field has its place: copied from a template, digits filled in.
//!
//! Patterns like Spark's default `yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]` print texts of one length
//! as long as years have four digits and the zone's offset is zero. Item by item such a
//! timestamp takes about six times as long, which was a quarter of a CSV sink's time.

use super::{Field, Item, Number, pattern_format::Moment};
use crate::format::value_text::{TextOut, eight_digits};

/// The template of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FixedLayout {
    template: String,
    slots: Vec<Slot>,
    /// Where the fraction is and how many digits it has: at the end and none if there is none.
    fraction: (usize, usize),
    /// Whether an offset of zero is written out in the template.
    offset: bool,
}

/// Where digits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    at: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// So many digits of the fraction.
    Fraction(usize),
}

impl FixedLayout {
    /// The layout of a timestamp with a time zone; `None` where a field's width varies.
    pub(super) fn of(items: &[Item]) -> Option<Self> {
        let mut layout = Self { template: String::new(), slots: vec![], fraction: (0, 0), offset: false };
        layout.add(items)?;
        let fractions = layout.slots.iter().filter_map(|slot| match slot.kind {
            Kind::Fraction(digits) => Some((slot.at, digits)),
            _ => None,
        });
        layout.fraction = match fractions.collect::<Vec<_>>().as_slice() {
            [] => (layout.template.len(), 0),
            [one] => *one,
            _ => return None,
        };
        Some(layout)
    }

    fn add(&mut self, items: &[Item]) -> Option<()> {
        for item in items {
            match item {
                Item::Literal(text) => self.template.push_str(text),
                Item::Number(Number { field, min, .. }) => {
                    let (kind, width) = match field {
                        Field::Year | Field::YearOfEra => (Kind::Year, 4),
                        Field::Month => (Kind::Month, 2),
                        Field::Day => (Kind::Day, 2),
                        Field::Hour => (Kind::Hour, 2),
                        Field::Minute => (Kind::Minute, 2),
                        Field::Second => (Kind::Second, 2),
                        _ => return None,
                    };
                    if *min != width {
                        return None;
                    }
                    self.slot(kind, width);
                }
                Item::Fraction { digits } if (1..=9).contains(digits) => {
                    self.slot(Kind::Fraction(*digits), *digits);
                }
                Item::Offset(offset) => {
                    self.template.push_str(offset.zero);
                    self.offset = true;
                }
                // A timestamp with a time zone has every field: nothing is left out.
                Item::Optional(inner) => self.add(inner)?,
                _ => return None,
            }
        }
        Some(())
    }

    fn slot(&mut self, kind: Kind, width: usize) {
        self.slots.push(Slot { at: self.template.len(), kind });
        self.template.extend(std::iter::repeat_n('0', width));
    }

    /// Appends `moment` and says so, unless it does not fit the layout.
    pub(super) fn print(&self, moment: &Moment, out: &mut String) -> bool {
        let (Some(micros), Some((offset, ..))) = (moment.micros_of_day, moment.offset) else { return false };
        if !(1..=9999).contains(&moment.year) || self.offset && offset != 0 {
            return false;
        }
        let mut text = [0u8; 64];
        let Some(text) = text.get_mut(..self.template.len()) else { return false };
        text.copy_from_slice(self.template.as_bytes());
        let seconds = (micros / 1_000_000) as u32;
        let fraction = six_digits((micros % 1_000_000) as u32);
        for Slot { at, kind } in &self.slots {
            match kind {
                Kind::Year => {
                    two(text, *at, moment.year as u32 / 100);
                    two(text, at + 2, moment.year as u32 % 100);
                }
                Kind::Month => two(text, *at, moment.month),
                Kind::Day => two(text, *at, moment.day),
                Kind::Hour => two(text, *at, seconds / 3600),
                Kind::Minute => two(text, *at, seconds / 60 % 60),
                Kind::Second => two(text, *at, seconds % 60),
                Kind::Fraction(digits) => {
                    let shown = (*digits).min(fraction.len());
                    if let (Some(room), Some(shown)) = (text.get_mut(*at..at + shown), fraction.get(..shown))
                    {
                        room.copy_from_slice(shown);
                    }
                }
            }
        }
        match std::str::from_utf8(text) {
            Ok(text) => out.push_str(text),
            // The template is text, and digits replace digits.
            Err(_) => return false,
        }
        true
    }

    /// Appends `text`, which is a second printed by this layout, with a fraction of `micros`.
    #[inline]
    pub(super) fn push_with_fraction(&self, text: &str, micros: u32, out: &mut (impl TextOut + ?Sized)) {
        let (at, digits) = self.fraction;
        let fraction = six_digits(micros);
        out.push_with_digits(text, at, fraction.get(..digits).unwrap_or(&fraction));
    }
}

/// The digits of a number of microseconds.
#[inline]
fn six_digits(micros: u32) -> [u8; 6] {
    let [_, _, digits @ ..] = eight_digits(micros).to_le_bytes();
    digits.map(|digit| digit + b'0')
}

/// Writes a number below 100.
#[inline]
fn two(text: &mut [u8], at: usize, value: u32) {
    if let Some([tens, ones]) = text.get_mut(at..at + 2) {
        *tens = b'0' + (value / 10) as u8;
        *ones = b'0' + (value % 10) as u8;
    }
}
