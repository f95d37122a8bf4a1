//! The JPKI card edge, certificates, requests, CMS and personalisation.

pub mod channel;
pub mod client;
pub mod edge;

pub use channel::{AdminChannel, Channel, ChannelError, Refusal};
pub use client::{ClientError, JpkiClient};
