//! Signet Partner Management as one program: its command line, and the wiring of everything that the other crates
//! offer. Nothing else knows everything.
#![deny(missing_docs)]

mod error;
mod shutdown;
mod system;
mod telemetry;
mod tls;
