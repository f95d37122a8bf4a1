//! GlobalPlatform off-card: SCP03, keys, commands, registry.
