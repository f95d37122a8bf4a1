//! Secure channels against a card's end written for these tests, live and from recordings.

#![allow(clippy::unwrap_used, clippy::panic)]

mod card;
mod decode;
mod session;
