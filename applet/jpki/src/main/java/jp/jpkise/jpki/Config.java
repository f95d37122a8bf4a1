package jp.jpkise.jpki;

import javacard.framework.APDU;
import javacard.framework.ISOException;
import javacard.framework.Util;

/**
 * What the installer decides: the value of C9, a list of one-byte tag, one-byte length, value; any other tag or length
 * fails the installation with 6A80.
 *
 * <pre>
 * tag length  meaning                                                              default
 * 80  1 - 32  token label, EF 0006                                                 JPKIAPGPSETOKEN
 * 81  2       tries of the PIN, tries of the password, 1 - 15 each                 03 05
 * 82  1       policy bits, below                                                   00
 * 83  1       media on which admin commands are refused: 1 contact, 2 contactless  00
 * 84  2       media on which the functions of the authentication key, and those    03 01
 *             of the signature key, may be used: the same bits
 * 85  2       which media count as contactless: bit n for media n0 of              1300
 *             APDU.getProtocol(), bit 15 to 0
 * </pre>
 *
 * 1300 is types A, B and F; the HCI gate counts as contact, because a phone's own traffic can arrive that way.
 */
final class Config {
    /** Policy: the authentication certificate is readable without the PIN. */
    static final byte FREE_AUTH_CERTIFICATE = 0x01;
    /** Policy: a blocked secret answers 6983 instead of 6984. */
    static final byte BLOCKED_IS_6983 = 0x02;
    /** Policy: only well-formed DigestInfos are signed. */
    static final byte DIGEST_INFO_ONLY = 0x04;
    /** All bits that have a meaning; 08 is the PIN-free authentication of a later version. */
    static final byte POLICY_BITS = 0x0F;

    static final byte CONTACT = 0x01;
    static final byte CONTACTLESS = 0x02;

    /** Length of a label in EF 0006, padded with spaces. */
    static final short LABEL = 32;

    private static final byte TRIES_LIMIT = 15;
    private static final short CONTACTLESS_A_B_F = 0x1300;
    private static final byte SPACE = 0x20;

    /** JPKIAPGPSETOKEN. */
    private static final byte[] LABEL_PHONE = {
        0x4A, 0x50, 0x4B, 0x49, 0x41, 0x50, 0x47, 0x50, 0x53, 0x45, 0x54, 0x4F, 0x4B, 0x45, 0x4E};
    /** JPKIAPICCTOKEN2, the plastic card's, whose authentication certificate is free to read. */
    private static final byte[] LABEL_CARD = {
        0x4A, 0x50, 0x4B, 0x49, 0x41, 0x50, 0x49, 0x43, 0x43, 0x54, 0x4F, 0x4B, 0x45, 0x4E, 0x32};

    byte authTries;
    byte signTries;
    byte policy;
    byte adminRefused;
    byte authMedia;
    byte signMedia;
    private short contactless;

    /**
     * @param offset where the value of C9 starts
     * @param end where it ends; the caller guarantees that the array reaches so far
     * @param tokenInfo gets the label
     */
    Config(byte[] parameters, short offset, short end, Ef tokenInfo) {
        authTries = 3;
        signTries = 5;
        authMedia = (byte) (CONTACT | CONTACTLESS);
        signMedia = CONTACT;
        contactless = CONTACTLESS_A_B_F;
        label(LABEL_PHONE, (short) 0, (short) LABEL_PHONE.length, tokenInfo);
        while (offset < end) {
            short value = (short) (offset + 2);
            if (value > end) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
            short length = (short) (parameters[(short) (offset + 1)] & 0xFF);
            if (length > (short) (end - value)) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
            set(parameters, parameters[offset], value, length, tokenInfo);
            offset = (short) (value + length);
        }
        if (authTries < 1 || authTries > TRIES_LIMIT || signTries < 1 || signTries > TRIES_LIMIT) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }

    private void set(byte[] parameters, byte tag, short value, short length, Ef tokenInfo) {
        short lengthWanted = 1;
        byte first = 0;
        byte second = 0;
        if (length >= 1) {
            first = parameters[value];
        }
        if (length >= 2) {
            second = parameters[(short) (value + 1)];
        }
        switch (tag) {
            case Tag.INSTALL_LABEL:
                lengthWanted = length;
                if (length < 1 || length > LABEL) {
                    ISOException.throwIt(Sw.WRONG_DATA);
                }
                label(parameters, value, length, tokenInfo);
                break;
            case Tag.INSTALL_TRIES:
                lengthWanted = 2;
                authTries = first;
                signTries = second;
                break;
            case Tag.INSTALL_POLICY:
                // An order of the tags must not matter, so the label's bit stays.
                setPolicy((byte) (first | policy));
                break;
            case Tag.INSTALL_ADMIN_REFUSED:
                adminRefused = media(first);
                break;
            case Tag.INSTALL_USER_ALLOWED:
                lengthWanted = 2;
                authMedia = media(first);
                signMedia = media(second);
                break;
            case Tag.INSTALL_CONTACTLESS:
                lengthWanted = 2;
                contactless = Util.makeShort(first, second);
                break;
            default:
                ISOException.throwIt(Sw.WRONG_DATA);
        }
        if (length != lengthWanted) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }

    /** @throws ISOException 6A80 when a bit without a meaning is set */
    private static byte media(byte bits) {
        if ((bits & ~(CONTACT | CONTACTLESS)) != 0) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        return bits;
    }

    private void label(byte[] source, short offset, short length, Ef tokenInfo) {
        Util.arrayFillNonAtomic(tokenInfo.data, (short) 0, LABEL, SPACE);
        Util.arrayCopyNonAtomic(source, offset, tokenInfo.data, (short) 0, length);
        tokenInfo.length = LABEL;
        short cardLength = (short) LABEL_CARD.length;
        if (length == cardLength
                && Util.arrayCompare(source, offset, LABEL_CARD, (short) 0, cardLength) == 0) {
            policy |= FREE_AUTH_CERTIFICATE;
        }
    }

    /** Replaces the policy; a bit without a meaning is 6A80. */
    void setPolicy(byte bits) {
        if ((bits & ~POLICY_BITS) != 0) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        policy = bits;
    }

    boolean has(byte policyBit) {
        return (policy & policyBit) != 0;
    }

    /** @throws ISOException 6985 when admin commands are refused on the medium this command came by */
    void requireAdminMedium() {
        if ((adminRefused & medium()) != 0) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
    }

    /** @throws ISOException 6985 when the user may not use this key on the medium this command came by */
    void requireMedium(JpkiKey key) {
        if ((key.media & medium()) == 0) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
    }

    /** @return the bit of the medium this command came by */
    private byte medium() {
        short media = (short) ((APDU.getProtocol() >> 4) & 0x0F);
        return ((short) (contactless >> media) & 1) != 0 ? CONTACTLESS : CONTACT;
    }
}
