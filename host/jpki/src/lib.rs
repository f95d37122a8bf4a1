//! The JPKI card edge, certificates, requests, CMS and personalisation.

pub mod edge;
