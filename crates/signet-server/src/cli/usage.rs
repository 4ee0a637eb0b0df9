use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is wrong with the arguments, in one line; `None` where help is to be shown instead.
///
/// Clap's own text has several lines, and repeats values: the URL of a database holds a password.
pub(super) fn line(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = || text(ContextKind::InvalidArg).unwrap_or_default();
    Some(match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return None;
        }
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            format!("{}: {}", argument(), reason.unwrap_or_else(|| "not a valid value".to_owned()))
        }
        ErrorKind::InvalidValue => match text(ContextKind::ValidValue).filter(|values| !values.is_empty()) {
            Some(values) => format!("{}: must be one of {values}", argument()),
            None => format!("{}: a value is missing", argument()),
        },
        ErrorKind::MissingRequiredArgument => format!("missing: {}", argument()),
        ErrorKind::UnknownArgument => match argument() {
            option if option.starts_with('-') => {
                let option = option.split('=').next().unwrap_or_default();
                format!("there is no option {option} here; see --help")
            }
            _ => "an argument too many; see --help".to_owned(),
        },
        ErrorKind::InvalidSubcommand => "there is no such command; see --help".to_owned(),
        ErrorKind::MissingSubcommand => "a command is missing; see --help".to_owned(),
        ErrorKind::ArgumentConflict => {
            format!("{} cannot be used together with {}", argument(), text(ContextKind::PriorArg).unwrap_or_default())
        }
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8".to_owned(),
        kind => kind.as_str().unwrap_or("the arguments make no sense").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn refusal(arguments: &[&str]) -> String {
        let arguments = [&["signet"], arguments].concat();
        line(&Cli::try_parse_from(arguments).expect_err("refused")).expect("a line")
    }

    #[test]
    fn a_refusal_is_one_line_that_names_the_option_and_not_the_value() {
        for (arguments, expected) in [
            (&["serve", "--listen", "s3cret"][..], "--listen <ADDRESS>: must be an IP address and a port"),
            (&["serve", "--database-url", "mysql://u:s3cret@h/d"], "--database-url <URL>: must start with sqlite://"),
            (&["serve", "--log-format", "s3cret"], "--log-format <FORMAT>: must be one of text, json"),
            (&["serve", "--drain-timeout", "s3cret"], "--drain-timeout <DURATION>: "),
            (&["serve", "--rate-limit", "0"], "--rate-limit <RATE>: "),
            (&["serve", "--trusted-proxy", "s3cret"], "--trusted-proxy <CIDR>: "),
            (&["serve", "--tls", "s3cret"], "--tls <TLS>: must be self-signed, off or CERT,KEY"),
            (&["serve", "--log", "s3cret=what"], "--log <FILTER>: "),
            (&["serve", "--log", "s3cret"], "--log <FILTER>: must be a level (error, warn, info, debug, trace or off)"),
            (&["serve", "--workers", "0"], "--workers <N>: "),
            (&["serve", "--workers"], "--workers <N>: a value is missing"),
            (&["serve", "postgres://u:s3cret@h/d"], "an argument too many"),
            (&["serve", "--database=postgres://u:s3cret@h/d"], "there is no option --database here"),
            (&["s3cret"], "there is no such command"),
            (&["key", "create"], "missing: --partner <ID>, --name <NAME>"),
            (&["key", "create", "--partner", "s3cret", "--name", "x"], "--partner <ID>: must be a UUID"),
            (&["key", "create", "--expires-in", "0s"], "--expires-in <DURATION>: must be longer than"),
            (&["key", "revoke", "s3cret"], "<KEY_ID>: must be the 16 letters and digits"),
            (&["partner", "create", "--name", " "], "--name <NAME>: must be 1 to 200 characters"),
        ] {
            let line = refusal(arguments);
            assert!(line.starts_with(expected), "{arguments:?}: {line}");
            assert!(!line.contains('\n') && !line.contains("s3cret"), "{line}");
        }
    }
}
