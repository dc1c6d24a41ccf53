//! How many random cases a property test runs: few in `make test`, thousands in `make nightly`.
//!
//! `ProptestConfig::with_cases(n)` ignores the environment, and its default ignores that a case of a stateful
//! operator costs a hundred times one of a codec. So each test names its own number, and `PROPTEST_CASES` outweighs it:
//!
//! ```ignore
//! proptest! {
//!     #![proptest_config(ProptestConfig::with_cases(cases(100)))]
//! ```

/// The number in `PROPTEST_CASES`, or `default` where there is none.
///
/// # Panics
///
/// When the variable is set and is no number: a nightly run must not quietly be a small one.
#[must_use]
#[expect(clippy::panic, reason = "a test must fail, not run a few cases")]
pub fn cases(default: u32) -> u32 {
    match std::env::var("PROPTEST_CASES") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("PROPTEST_CASES={text} is no number")),
        Err(_) => default,
    }
}
