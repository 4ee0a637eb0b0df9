//! What stops, kills, freezes, configures or listens to a server, and so cannot be done to one that was given.

mod connections;
mod lost_answers;
mod outages;
mod overlaps;
mod refusals;
mod replicas;
mod round_trips;
mod statements;
