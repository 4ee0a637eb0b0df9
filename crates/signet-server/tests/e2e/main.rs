//! The program as its users meet it: over TLS, on a real Postgres and on a real `SQLite` file.

mod api;
mod backup;
#[cfg(feature = "browser")]
mod browser;
mod browsers;
mod canaries;
mod client;
mod commands;
mod database;
mod demo;
mod faults;
mod forged;
mod gone;
mod life;
mod log;
mod outsider;
mod program;
mod roles;
mod start;
mod tls;
mod upgrade;
mod variables;
mod verify;
