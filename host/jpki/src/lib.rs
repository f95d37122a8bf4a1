//! The JPKI card edge, certificates, requests, CMS and personalisation.
