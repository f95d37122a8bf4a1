//! The chain as a workflow, doctor, suites.
