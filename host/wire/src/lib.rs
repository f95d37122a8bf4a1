//! Bytes both ends share: TLV, LV, DGI, status words, SCP03 derivation and MAC.
