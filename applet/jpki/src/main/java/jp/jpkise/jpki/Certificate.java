package jp.jpkise.jpki;

import javacard.framework.ISOException;
import javacard.framework.Util;

/** Finds out whether a certificate is for a key. */
final class Certificate {
    /** serialNumber, signature, issuer, validity, subject: what stands between version and key (RFC 5280, 4.1). */
    private static final byte FIELDS_BEFORE_KEY = 5;

    /**
     * Content of the SubjectPublicKeyInfo of an RSA-2048 key up to the modulus: rsaEncryption with NULL, BIT STRING,
     * SEQUENCE, INTEGER with its leading zero (RFC 3279, 2.3.1). DER leaves no other way to write it.
     */
    private static final byte[] BEFORE_MODULUS = {
        0x30, 0x0D, 0x06, 0x09, 0x2A, (byte) 0x86, 0x48, (byte) 0x86, (byte) 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
        0x03, (byte) 0x82, 0x01, 0x0F, 0x00,
        0x30, (byte) 0x82, 0x01, 0x0A,
        0x02, (byte) 0x82, 0x01, 0x01, 0x00};

    /** The exponent 65537. */
    private static final byte[] AFTER_MODULUS = {0x02, 0x03, 0x01, 0x00, 0x01};

    private Certificate() {
    }

    /**
     * @param der holds the certificate in its first {@code length} bytes
     * @param scratch at least 256 bytes, overwritten
     * @throws ISOException 6A80 when it is not one whole certificate, or one for another key
     */
    static void requireFor(JpkiKey key, byte[] der, short length, byte[] scratch) {
        if (Tlv.next(der, (short) 0, length) != length) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        short offset = Tlv.content(der, (short) 0, length, Tag.SEQUENCE);
        short end = Tlv.next(der, offset, length);
        offset = Tlv.content(der, offset, length, Tag.SEQUENCE);
        if (offset < end && der[offset] == Tag.CERTIFICATE_VERSION) {
            offset = Tlv.next(der, offset, end);
        }
        for (byte i = 0; i < FIELDS_BEFORE_KEY; i++) {
            offset = Tlv.next(der, offset, end);
        }
        short keyEnd = Tlv.next(der, offset, end);
        offset = Tlv.content(der, offset, end, Tag.SEQUENCE);
        short before = (short) BEFORE_MODULUS.length;
        short after = (short) AFTER_MODULUS.length;
        if ((short) (keyEnd - offset) != (short) (before + JpkiKey.MODULUS + after)) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        key.modulus(scratch, (short) 0);
        if (Util.arrayCompare(der, offset, BEFORE_MODULUS, (short) 0, before) != 0
                || Util.arrayCompare(der, (short) (offset + before), scratch, (short) 0, JpkiKey.MODULUS) != 0
                || Util.arrayCompare(der, (short) (keyEnd - after), AFTER_MODULUS, (short) 0, after) != 0) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }
}
