//! Compiles the crate anew when a migration comes or goes: the macro that embeds them cannot tell Cargo.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
