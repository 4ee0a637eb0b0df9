use clap::{Args, ValueEnum};

use super::print;
use crate::error::Failure;

/// Print the OpenAPI document of the API
#[derive(Debug, Args)]
pub(super) struct OpenapiArgs {
    /// How to write it
    #[arg(long, env = "SIGNET_OPENAPI_FORMAT", hide_env_values = true, value_enum, default_value = "yaml")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

impl OpenapiArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = match self.format {
            Format::Yaml => signet_http::openapi_yaml(),
            Format::Json => signet_http::openapi_json(),
        };
        print::line(text.trim_end())
    }
}
