//! The simulated GP-SE: card manager, security domains, SCP03 card side.
