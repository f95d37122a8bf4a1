//! The card manager's commands with their status words, in process, by family.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::format_collect, clippy::type_complexity)]

#[path = "../common/mod.rs"]
mod common;
mod support;

mod delete;
mod domains;
mod get_data;
mod install;
mod keys;
mod life_cycle;
mod load;
mod memory;
mod other_keys;
mod parameters;
mod r_mac;
mod select;
mod session;
mod status;
mod store_data;
mod tries;
