//! What an Android app sees of a secure element: a model of the Open Mobile API service, with the access control
//! enforcer (ACE) in front of every channel.
//!
//! | module | |
//! |---|---|
//! | [`service`] | SEService, Reader, Session, Channel |
//! | [`preset`] | what a JPKI app, or the relay of the issuing app, may send |
//! | [`apk`] | certificates of an APK, and the hash a rule should name |
//! | [`vectors`] | known answers of access control, run |
//! | [`ace`] | the decision for one applet and one app, explained; the enforcer with its cache |

pub mod ace;
pub mod apk;
pub mod preset;
pub mod service;
pub mod vectors;

pub use service::{Channel, OmapiError, Reader, SeService, Session};
