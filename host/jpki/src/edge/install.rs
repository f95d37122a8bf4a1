//! The applet's install parameters, the value of C9 in INSTALL [for install].
//!
//! 80 label (ASCII) ‖ 81 tries (auth, sign) ‖ 82 policy bits ‖ 83 media refused for admin ‖ 84 media allowed for the
//! functions of the authentication key, then of the signature key ‖ 85 which media of the runtime count as contactless (2);
//! every object may be left out.

use jpkise_wire::tlv::{write, Tag};

use super::token::TokenProfile;

const TAG_LABEL: Tag = Tag(0x80);
const TAG_TRIES: Tag = Tag(0x81);
const TAG_POLICY: Tag = Tag(0x82);
const TAG_ADMIN_MEDIA_REFUSED: Tag = Tag(0x83);
const TAG_USER_MEDIA: Tag = Tag(0x84);
const TAG_CONTACTLESS: Tag = Tag(0x85);

/// Policy bits: tag 82 at install, DGI 0101 later.
pub mod policy {
    /// The user-authentication certificate is free to read.
    pub const FREE_AUTH_CERTIFICATE: u8 = 0x01;
    /// A blocked secret answers 6983 instead of 6984.
    pub const BLOCKED_IS_6983: u8 = 0x02;
    /// Scheme 00 takes well-formed DigestInfos only.
    pub const DIGEST_INFO_ONLY: u8 = 0x04;
    /// PIN-free user authentication by a device key.
    pub const PIN_FREE_AUTHENTICATION: u8 = 0x08;
}

/// Media bits of tags 83 and 84.
pub mod media {
    /// Contact, which includes the phone's own traffic.
    pub const CONTACT: u8 = 0x01;
    /// Contactless.
    pub const CONTACTLESS: u8 = 0x02;
}

/// Install parameters; what is `None` keeps the applet's default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstallParameters {
    /// Token profile, by its label.
    pub profile: Option<TokenProfile>,
    /// Tries of PIN and password.
    pub tries: Option<(u8, u8)>,
    /// Bits of [`policy`].
    pub policy: Option<u8>,
    /// Bits of [`media`] over which the SP-TSM's commands are refused.
    pub admin_media_refused: Option<u8>,
    /// Bits of [`media`] over which the user may use the authentication key, and the signature key.
    pub user_media: Option<(u8, u8)>,
    /// Bit n: media code n of `APDU.getProtocol()` counts as contactless.
    pub contactless: Option<u16>,
}

impl InstallParameters {
    /// The value of C9.
    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(profile) = self.profile {
            write(&mut out, TAG_LABEL, profile.label().as_bytes());
        }
        if let Some((auth, sign)) = self.tries {
            write(&mut out, TAG_TRIES, &[auth, sign]);
        }
        if let Some(bits) = self.policy {
            write(&mut out, TAG_POLICY, &[bits]);
        }
        if let Some(bits) = self.admin_media_refused {
            write(&mut out, TAG_ADMIN_MEDIA_REFUSED, &[bits]);
        }
        if let Some((auth, sign)) = self.user_media {
            write(&mut out, TAG_USER_MEDIA, &[auth, sign]);
        }
        if let Some(codes) = self.contactless {
            write(&mut out, TAG_CONTACTLESS, &codes.to_be_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_objects_in_the_order_of_their_tags() {
        assert!(InstallParameters::default().build().is_empty());
        let all = InstallParameters {
            profile: Some(TokenProfile::Phone),
            tries: Some((3, 5)),
            policy: Some(policy::FREE_AUTH_CERTIFICATE | policy::BLOCKED_IS_6983),
            admin_media_refused: Some(media::CONTACTLESS),
            user_media: Some((media::CONTACT | media::CONTACTLESS, media::CONTACT)),
            contactless: Some(0x1300),
        };
        let label = hex::encode("JPKIAPGPSETOKEN");
        assert_eq!(hex::encode(all.build()), format!("800f{label}810203058201038301028402030185021300"));
    }
}
