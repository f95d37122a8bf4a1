package jp.jpkise.jpki;

/** File identifiers, GET DATA tags, DGIs and install parameters. */
interface Tag {
    // Elementary files; each identifier's low byte is the short EF identifier too.
    byte EF_SIGN_CERTIFICATE = 0x01;
    byte EF_SIGN_CA = 0x02;
    byte EF_TOKEN_INFO = 0x06;
    byte EF_AVAILABILITY = 0x08;
    byte EF_AUTH_CERTIFICATE = 0x0A;
    byte EF_AUTH_CA = 0x0B;
    byte EF_AUTH_KEY = 0x17;
    byte EF_AUTH_PIN = 0x18;
    byte EF_SIGN_KEY = 0x1A;
    byte EF_SIGN_PASSWORD = 0x1B;

    /** Key reference KK: user authentication. */
    byte KEY_AUTH = 0x01;
    /** Key reference KK: signature. */
    byte KEY_SIGN = 0x02;
    /** DELETE FILE: everything. */
    byte KEY_ALL = (byte) 0xFF;

    // GET DATA.
    short PUBLIC_KEY = 0x7F49;
    short VERSION = (short) 0xDF30;
    short STATUS = (short) 0xDF31;
    short ATTESTATION = (short) 0xDF32;
    short LEASE = (short) 0xDF33;
    short PROOF = (short) 0xDF3E;

    // STORE DATA; the DGI of a file is its identifier.
    short DGI_SIGN_CERTIFICATE = 0x0001;
    short DGI_SIGN_CA = 0x0002;
    short DGI_TOKEN_INFO = 0x0006;
    short DGI_AUTH_CERTIFICATE = 0x000A;
    short DGI_AUTH_CA = 0x000B;
    short DGI_POLICY = 0x0101;
    short DGI_TEMPORARY_PIN = (short) 0x8201;
    short DGI_TEMPORARY_PASSWORD = (short) 0x8202;

    // Install parameters (inside C9).
    byte INSTALL_LABEL = (byte) 0x80;
    byte INSTALL_TRIES = (byte) 0x81;
    byte INSTALL_POLICY = (byte) 0x82;
    byte INSTALL_ADMIN_REFUSED = (byte) 0x83;
    byte INSTALL_USER_ALLOWED = (byte) 0x84;
    byte INSTALL_CONTACTLESS = (byte) 0x85;

    // FCI (ISO/IEC 7816-4, 5.3.3).
    byte FCI = 0x6F;
    byte FCI_FILE_ID = (byte) 0x83;
    byte FCI_AID = (byte) 0x84;

    // DER.
    byte SEQUENCE = 0x30;
    byte OBJECT_IDENTIFIER = 0x06;
    byte NULL = 0x05;
    byte OCTET_STRING = 0x04;
    byte CERTIFICATE_VERSION = (byte) 0xA0;
}
