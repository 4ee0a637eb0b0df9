//! Users: register, list, get, update, remove.

mod get;
mod list;
mod register;
mod remove;
mod update;

#[cfg(test)]
mod tests;

pub use get::GetUser;
pub use list::ListUsers;
pub use register::{NewUser, RegisterUser};
pub use remove::RemoveUser;
pub use update::UpdateUser;
