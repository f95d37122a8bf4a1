package jp.jpkise.jpki;

import java.util.Arrays;

/** Certificates with the outline of RFC 5280 and a signature nobody has made: the applet looks at the key alone. */
final class TestCertificate {
    static final byte[] RSA = Hex.bytes("300D06092A864886F70D0101010500");

    private TestCertificate() {
    }

    static byte[] tlv(int tag, byte[]... content) {
        byte[] value = Hex.join(content);
        String length = value.length < 0x80 ? String.format("%02X", value.length)
                : value.length < 0x100 ? String.format("81%02X", value.length) : String.format("82%04X", value.length);
        return Hex.join(new byte[] {(byte) tag}, Hex.bytes(length), value);
    }

    static byte[] subjectPublicKeyInfo(byte[] algorithm, byte[] modulus, byte[] exponent) {
        byte[] key = tlv(0x30, tlv(0x02, new byte[1], modulus), tlv(0x02, exponent));
        return tlv(0x30, algorithm, tlv(0x03, new byte[1], key));
    }

    static byte[] of(byte[] modulus) {
        return of(modulus, 700);
    }

    /** @param filler length of the subject's text, to reach a size */
    static byte[] of(byte[] modulus, int filler) {
        return around(tlv(0xA0, tlv(0x02, new byte[] {2})), subjectPublicKeyInfo(RSA, modulus, Hex.bytes("010001")), filler);
    }

    /** A certificate of exactly that many bytes, at least 1200. */
    static byte[] ofSize(byte[] modulus, int size) {
        int filler = 500 + size - of(modulus, 500).length;
        byte[] certificate = of(modulus, filler);
        if (certificate.length != size) {
            throw new AssertionError("made " + certificate.length + " bytes instead of " + size);
        }
        return certificate;
    }

    static byte[] around(byte[] version, byte[] keyInfo, int filler) {
        byte[] text = new byte[filler];
        Arrays.fill(text, (byte) 'x');
        byte[] issuer = name(Hex.ascii("JPKISE-TEST"));
        byte[] subject = name(text);
        byte[] algorithm = Hex.bytes("300D06092A864886F70D01010B0500");
        byte[] validity = tlv(0x30, tlv(0x17, Hex.ascii("260101000000Z")), tlv(0x17, Hex.ascii("310101000000Z")));
        byte[] tbs = tlv(0x30, version, tlv(0x02, new byte[] {5}), algorithm, issuer, validity, subject, keyInfo);
        return tlv(0x30, tbs, algorithm, tlv(0x03, new byte[257]));
    }

    private static byte[] name(byte[] text) {
        return tlv(0x30, tlv(0x31, tlv(0x30, tlv(0x06, Hex.bytes("550403")), tlv(0x0C, text))));
    }
}
