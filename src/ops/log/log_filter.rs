//! What is to be logged, as it was asked for by option or environment. A filter that means nothing would leave an
//! operator without a log, so it is told of.

use std::env;

use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// The environment's filter.
const VARIABLE: &str = "RUST_LOG";
/// What is logged unless asked otherwise.
const DEFAULT: &str = "info";
const LEVELS: &str = "error, warn, info, debug or trace";

/// A filter that the log understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// As the log takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The filter of the option, or of the environment, or the default; and what was wrong with the environment's.
    pub fn choose(option: Option<Self>) -> (Self, Option<String>) {
        let by_environment = || env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
        Self::of(option, by_environment())
    }

    fn of(option: Option<Self>, by_environment: Option<String>) -> (Self, Option<String>) {
        let default = || Self(DEFAULT.to_owned());
        match (option, by_environment) {
            (Some(option), _) => (option, None),
            (None, None) => (default(), None),
            (None, Some(typed)) => match Self::parse(&typed) {
                Ok(filter) => (filter, None),
                Err(wrong) => {
                    (default(), Some(format!("{VARIABLE}={typed:?} is not used, but {DEFAULT}: {wrong}")))
                }
            },
        }
    }

    /// Takes `LEVEL` or `MODULE=LEVEL`, parted by commas.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let directives = typed.split(',').map(str::trim);
        let directives: Vec<_> = directives.filter(|directive| !directive.is_empty()).collect();
        if directives.is_empty() {
            return Err(format!("it is empty; write {LEVELS}"));
        }
        let mut has_level = false;
        for directive in &directives {
            if directive.parse::<LevelFilter>().is_ok() {
                has_level = true;
            } else if !names_a_module(directive) || directive.ends_with('=') {
                return Err(format!("{directive:?} is no level; write {LEVELS}, or MODULE=LEVEL"));
            }
            EnvFilter::builder().parse(directive).map_err(|error| {
                let error = error.to_string();
                format!("{directive:?} is not understood ({error}); write {LEVELS}, or MODULE=LEVEL")
            })?;
        }
        // Errors of other modules are told in any case: the last one is what the program ends with.
        let others = if has_level { "" } else { "error," };
        Ok(Self(format!("{others}{}", directives.join(","))))
    }
}

/// Whether it is about some of the program's parts: with a level behind `=`, with a span, or a path of modules.
fn names_a_module(directive: &str) -> bool {
    directive.contains(['=', '[']) || directive.contains("::") || directive == env!("CARGO_PKG_NAME")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(typed: &str) -> String {
        LogFilter::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}")).as_str().to_owned()
    }

    #[test]
    fn a_filter_is_a_level_or_modules_with_levels() {
        for typed in ["info", "WARN", "off", "info,mirrorball::serve=debug", "mirrorball::serve=trace,warn"] {
            assert_eq!(parsed(typed), typed);
        }
        assert_eq!(parsed(" info , hyper=debug ,"), "info,hyper=debug");
    }

    #[test]
    fn errors_of_modules_that_are_not_named_are_logged() {
        assert_eq!(parsed("mirrorball::serve=debug"), "error,mirrorball::serve=debug");
        assert_eq!(parsed("mirrorball"), "error,mirrorball");
    }

    #[test]
    fn what_would_log_nothing_is_refused() {
        for (typed, says) in [
            ("", "it is empty; write error, warn"),
            (" , ", "it is empty"),
            ("verbose", "\"verbose\" is no level"),
            ("info;debug", "\"info;debug\" is no level"),
            ("inf,mirrorball=debug", "\"inf\" is no level"),
            ("mirrorball=loud", "\"mirrorball=loud\" is not understood"),
            ("mirrorball=", "\"mirrorball=\" is no level; write error, warn, info, debug or trace"),
        ] {
            let error = LogFilter::parse(typed).expect_err(typed);
            assert!(error.contains(says), "{typed}: {error}");
        }
    }

    #[test]
    fn the_option_wins_and_a_wrong_environment_is_told() {
        let debug = || LogFilter::parse("debug").expect("a level");
        assert_eq!(LogFilter::of(Some(debug()), Some("nonsense".into())), (debug(), None));
        assert_eq!(LogFilter::of(None, Some("debug".into())), (debug(), None));
        assert_eq!(LogFilter::of(None, None).0.as_str(), "info");
        let (filter, told) = LogFilter::of(None, Some(String::new()));
        assert_eq!(filter.as_str(), "info");
        assert_eq!(
            told.as_deref(),
            Some("RUST_LOG=\"\" is not used, but info: it is empty; write error, warn, info, debug or trace")
        );
    }
}
