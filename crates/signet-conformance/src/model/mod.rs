//! A model of a store that is so simple that it can be seen to be right, and histories to compare stores with it.

mod asked;
mod reference;
mod step;
mod told;
mod values;
mod world;

pub(crate) use reference::{Model, PARTNERS};
pub(crate) use step::Step;
pub(crate) use world::World;
