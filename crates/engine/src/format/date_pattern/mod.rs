//! Java date patterns as Spark uses them: `yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]`.
//!
//! Letters and their counts mean what `java.time.format.DateTimeFormatter` (strict, locale
//! en-US) makes of them, with Spark's own rules on top: `y` is the proleptic year unless the
//! pattern has an era, week-based letters are refused, and when parsing, `S` letters take
//! one digit up to their number.

mod fixed_layout;
mod pattern_format;
mod pattern_parse;
mod timestamp_printer;

use crate::{Result, SparkError};
use fixed_layout::FixedLayout;
pub(crate) use timestamp_printer::TimestampPrinter;

/// A compiled pattern, for formatting or for parsing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatePattern {
    source: String,
    items: Vec<Item>,
    /// For printing timestamps with a time zone, where it applies.
    layout: Option<FixedLayout>,
}

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Item {
    Literal(String),
    Number(Number),
    /// `yy`: the last two digits of a year from 2000 on.
    TwoDigitYear(Field),
    /// Three letters or the full word.
    Text {
        field: Field,
        full: bool,
    },
    /// Up to nine digits of the second's fraction.
    Fraction {
        digits: usize,
    },
    Offset(Offset),
    /// `GMT+8` or `GMT+08:00`.
    LocalizedOffset {
        full: bool,
    },
    /// `VV`
    ZoneId,
    /// `z`
    ZoneName,
    Optional(Vec<Item>),
}

/// A field printed or read as digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Number {
    pub(super) field: Field,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) sign: Sign,
    /// Digits that belong to fixed-width numbers right after this one.
    pub(super) reserved: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sign {
    /// A minus for negative values.
    Normal,
    /// Negative values do not print and no sign is read.
    Never,
    /// A plus when there are more digits than the minimum.
    ExceedsPad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Era,
    Year,
    YearOfEra,
    DayOfYear,
    Month,
    Day,
    Quarter,
    DayOfWeek,
    WeekdayInMonth,
    AmPm,
    /// 1 to 12
    ClockHourOfAmPm,
    /// 0 to 11
    HourOfAmPm,
    /// 1 to 24
    ClockHourOfDay,
    Hour,
    Minute,
    Second,
}

/// `X`, `x` and `Z` forms of a zone offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Offset {
    pub(super) colon: bool,
    pub(super) minutes: Minutes,
    pub(super) seconds: bool,
    /// What stands for no offset; printed, and accepted when read.
    pub(super) zero: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Minutes {
    Always,
    WhenNotZero,
}

impl DatePattern {
    /// Compiles a pattern for parsing text.
    ///
    /// # Errors
    /// Letters, lengths or nesting Spark refuses, for example `E` when parsing.
    pub fn parser(pattern: &str) -> Result<Self> {
        Self::compile(pattern, true)
    }

    /// Compiles a pattern for printing.
    ///
    /// # Errors
    /// Letters, lengths or nesting Spark refuses.
    pub fn formatter(pattern: &str) -> Result<Self> {
        Self::compile(pattern, false)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    fn layout(&self) -> Option<&FixedLayout> {
        self.layout.as_ref()
    }

    /// Prints item by item only, to compare with.
    #[cfg(test)]
    fn without_layout(self) -> Self {
        Self { layout: None, ..self }
    }

    /// Where Spark 2's formatter took a pattern that is refused now, Spark says so.
    fn compile(pattern: &str, parsing: bool) -> Result<Self> {
        Self::compile_strict(pattern, parsing).map_err(|e| {
            let unsupported = e.class() == "UNSUPPORTED_FEATURE.MILLSTREAM";
            if unsupported || !was_accepted(pattern) { e } else { unrecognized(pattern) }
        })
    }

    fn compile_strict(pattern: &str, parsing: bool) -> Result<Self> {
        check_letters(pattern, parsing)?;
        let era = unquoted(pattern).any(|c| c == 'G');
        let mut compiler = Compiler { pattern, era, stack: vec![Vec::new()] };
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' => {
                    if chars.next_if_eq(&'\'').is_some() {
                        compiler.literal("'");
                        continue;
                    }
                    let mut text = String::new();
                    loop {
                        match chars.next() {
                            None => return Err(bad_pattern(pattern)),
                            Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
                            Some('\'') => break,
                            Some(other) => text.push(other),
                        }
                    }
                    compiler.literal(&text);
                }
                '[' => compiler.stack.push(Vec::new()),
                ']' => {
                    let Some(items) = compiler.stack.pop() else { return Err(bad_pattern(pattern)) };
                    match compiler.stack.last_mut() {
                        Some(outer) => outer.push(Item::Optional(items)),
                        None => return Err(bad_pattern(pattern)),
                    }
                }
                '{' | '}' | '#' => return Err(bad_pattern(pattern)),
                c if c.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    let item = compiler.letter(c, count)?;
                    compiler.push(item);
                }
                other => compiler.literal(other.encode_utf8(&mut [0; 4])),
            }
        }
        // Open optional sections end with the pattern.
        while compiler.stack.len() > 1 {
            if let (Some(items), Some(outer)) = (compiler.stack.pop(), compiler.stack.last_mut()) {
                outer.push(Item::Optional(items));
            }
        }
        let mut items = compiler.stack.pop().unwrap_or_default();
        reserve(&mut items);
        let layout = FixedLayout::of(&items).filter(|_| !parsing);
        Ok(Self { source: pattern.to_string(), items, layout })
    }
}

struct Compiler<'a> {
    pattern: &'a str,
    era: bool,
    stack: Vec<Vec<Item>>,
}

impl Compiler<'_> {
    fn push(&mut self, item: Item) {
        if let Some(items) = self.stack.last_mut() {
            items.push(item);
        }
    }

    fn literal(&mut self, text: &str) {
        match self.stack.last_mut().and_then(|items| items.last_mut()) {
            Some(Item::Literal(before)) => before.push_str(text),
            _ => self.push(Item::Literal(text.to_string())),
        }
    }

    fn letter(&self, c: char, count: usize) -> Result<Item> {
        let number = |field, min, max, sign| Item::Number(Number { field, min, max, sign, reserved: 0 });
        let plain = |field| match count {
            1 => Ok(number(field, 1, 19, Sign::Normal)),
            2 => Ok(number(field, 2, 2, Sign::Never)),
            _ => Err(bad_pattern(self.pattern)),
        };
        let text = |field, short: usize| match count {
            n if n <= short => Ok(Item::Text { field, full: false }),
            4 => Ok(Item::Text { field, full: true }),
            _ => Err(bad_pattern(self.pattern)),
        };
        let offset =
            |colon, minutes, seconds, zero| Ok(Item::Offset(Offset { colon, minutes, seconds, zero }));
        match c {
            'y' => {
                let field = if self.era { Field::YearOfEra } else { Field::Year };
                Ok(match count {
                    2 => Item::TwoDigitYear(field),
                    n if n < 4 => number(field, n, 19, Sign::Normal),
                    n => number(field, n, 19, Sign::ExceedsPad),
                })
            }
            'G' => text(Field::Era, 3),
            'M' | 'L' => match count {
                1 | 2 => plain(Field::Month),
                _ => text(Field::Month, 3),
            },
            'Q' | 'q' => match count {
                1 | 2 => plain(Field::Quarter),
                _ => text(Field::Quarter, 3),
            },
            'd' => plain(Field::Day),
            'D' => match count {
                1 => Ok(number(Field::DayOfYear, 1, 19, Sign::Normal)),
                2 | 3 => Ok(number(Field::DayOfYear, count, 3, Sign::Never)),
                _ => Err(bad_pattern(self.pattern)),
            },
            'E' => text(Field::DayOfWeek, 3),
            'F' if count == 1 => plain(Field::WeekdayInMonth),
            'a' if count == 1 => Ok(Item::Text { field: Field::AmPm, full: false }),
            'h' => plain(Field::ClockHourOfAmPm),
            'K' => plain(Field::HourOfAmPm),
            'k' => plain(Field::ClockHourOfDay),
            'H' => plain(Field::Hour),
            'm' => plain(Field::Minute),
            's' => plain(Field::Second),
            'S' if count <= 9 => Ok(Item::Fraction { digits: count }),
            'V' if count == 2 => Ok(Item::ZoneId),
            'z' if count <= 3 => Ok(Item::ZoneName),
            'z' if count == 4 => {
                Err(SparkError::unsupported("the full zone name (`zzzz`) in a datetime pattern"))
            }
            'O' if count == 1 => Ok(Item::LocalizedOffset { full: false }),
            'O' | 'Z' if count == 4 => Ok(Item::LocalizedOffset { full: true }),
            'X' => match count {
                1 => offset(false, Minutes::WhenNotZero, false, "Z"),
                2 => offset(false, Minutes::Always, false, "Z"),
                3 => offset(true, Minutes::Always, false, "Z"),
                4 => offset(false, Minutes::Always, true, "Z"),
                5 => offset(true, Minutes::Always, true, "Z"),
                _ => Err(bad_pattern(self.pattern)),
            },
            'x' => match count {
                1 => offset(false, Minutes::WhenNotZero, false, "+00"),
                2 => offset(false, Minutes::Always, false, "+0000"),
                3 => offset(true, Minutes::Always, false, "+00:00"),
                4 => offset(false, Minutes::Always, true, "+0000"),
                5 => offset(true, Minutes::Always, true, "+00:00"),
                _ => Err(bad_pattern(self.pattern)),
            },
            'Z' => match count {
                1..=3 => offset(false, Minutes::Always, false, "+0000"),
                5 => offset(true, Minutes::Always, true, "Z"),
                _ => Err(bad_pattern(self.pattern)),
            },
            _ => Err(bad_pattern(self.pattern)),
        }
    }
}

/// Lets a number leave the digits to the fixed-width numbers that follow it directly.
fn reserve(items: &mut [Item]) {
    let mut base: Option<usize> = None;
    for i in 0..items.len() {
        let width = match items.get(i) {
            Some(Item::Number(n)) => Some((n.min == n.max && n.sign == Sign::Never).then_some(n.max)),
            Some(Item::TwoDigitYear(_)) => Some(Some(2)),
            _ => None,
        };
        match (width, base) {
            (Some(Some(fixed)), Some(b)) => {
                if let Some(Item::Number(n)) = items.get_mut(b) {
                    n.reserved += fixed;
                }
            }
            (Some(_), _) => base = Some(i),
            (None, _) => base = None,
        }
        if let Some(Item::Optional(inner)) = items.get_mut(i) {
            reserve(inner);
        }
    }
}

fn unquoted(pattern: &str) -> impl Iterator<Item = char> + '_ {
    pattern.split('\'').step_by(2).flat_map(str::chars)
}

fn check_letters(pattern: &str, parsing: bool) -> Result<()> {
    for part in pattern.split('\'').step_by(2) {
        if let Some(c) = part.chars().find(|c| "YWwuec".contains(*c)) {
            return Err(SparkError::new("INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN")
                .with("c", c.to_string()));
        }
        if let Some(c) = part.chars().find(|c| "ABnNp".contains(*c) || parsing && "EFqQ".contains(*c)) {
            return Err(SparkError::new("INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER")
                .with("c", c.to_string())
                .with("pattern", pattern));
        }
        for (letter, length) in [("G", 5), ("M", 5), ("L", 5), ("E", 5), ("Q", 5), ("q", 5), ("y", 11)] {
            let style = letter.repeat(length);
            if part.contains(&style) {
                return Err(SparkError::new("INVALID_DATETIME_PATTERN.LENGTH").with("pattern", letter));
            }
        }
    }
    Ok(())
}

/// Whether `java.text.SimpleDateFormat` takes the pattern.
fn was_accepted(pattern: &str) -> bool {
    let balanced = pattern.matches('\'').count().is_multiple_of(2);
    balanced && unquoted(pattern).all(|c| !c.is_ascii_alphabetic() || "GyYMLwWDdFEuaHkKhmsSzZX".contains(c))
}

fn bad_pattern(pattern: &str) -> SparkError {
    SparkError::new("INVALID_DATETIME_PATTERN.WITH_SUGGESTION").with("pattern", pattern).with("docroot", DOCS)
}

const DOCS: &str = "https://spark.apache.org/docs/latest";

fn unrecognized(pattern: &str) -> SparkError {
    SparkError::new("INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION")
        .with("pattern", format!("'{pattern}'"))
        .with("config", "\"spark.sql.legacy.timeParserPolicy\"")
        .with("docroot", DOCS)
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(super) const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];

#[cfg(test)]
mod tests;
