//! The chain as a workflow: from an empty secure element to verified signatures, and back over everything that must
//! fail. Later: doctor's checks, suites, reports.

pub mod apps;
pub mod cap_run;
pub mod card_edge;
mod card_vectors;
pub mod chain;
pub mod coded;
pub mod compare;
pub mod coverage;
pub mod dist;
pub mod doctor;
pub mod files;
pub mod openssl;
pub mod replay;
pub mod report;
pub mod run;
pub mod secrets;
pub mod simulator;
pub mod suite;
pub mod suites;
pub mod vectors;
