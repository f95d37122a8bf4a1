//! The JPKI card edge, certificates, requests, CMS and personalisation.

pub mod ca;
pub mod certificate;
pub mod channel;
pub mod client;
pub mod cms;
pub mod csr;
pub mod edge;
pub mod oid;
pub mod verify;

pub use certificate::{Cert, CertificateError};
pub use channel::{AdminChannel, Channel, ChannelError, Refusal};
pub use client::{ClientError, JpkiClient};
