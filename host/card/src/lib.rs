//! Talking to a card: transports, APDUs, the trace.
