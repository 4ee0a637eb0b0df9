//! The `signet` binary.

fn main() -> std::process::ExitCode {
    signet_server::run(std::env::args_os())
}
