//! The JPKI card edge, certificates, requests, CMS and personalisation.

pub mod admin;
pub mod ca;
pub mod certificate;
pub mod channel;
pub mod client;
pub mod cms;
pub mod crl;
pub mod csr;
pub mod edge;
pub mod oid;
pub mod personalize;
pub mod probe;
pub mod provision;
pub mod verify;

pub use admin::{Admin, AdminError, KnownSecrets, UserApp};
pub use certificate::{Cert, CertificateError};
pub use channel::{AdminChannel, Channel, ChannelError, Refusal};
pub use client::{ClientError, JpkiClient};
