//! The CAPs that travel with the program: `applet/dist`, built by `scripts/dist`, so that a simulated card with the
//! applets, or a real one that is to get them, needs neither a JDK nor Maven.
//!
//! They live here and not in `gpse`: a simulated card is a card of any maker until the lab puts these into its ROM.

/// The JPKI applet, as `jpki.cap` in JAR form.
pub const JPKI_CAP: &[u8] = include_bytes!("../../../applet/dist/jpki.cap");

/// The access rule application (ARA-M), as `ara.cap` in JAR form.
pub const ARA_CAP: &[u8] = include_bytes!("../../../applet/dist/ara.cap");
