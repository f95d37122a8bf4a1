package jp.jpkise.jpki;

import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.Util;

/**
 * The files as the terminal sees them: SELECT, READ BINARY, and what a P2 refers to.
 *
 * <pre>
 * 00 A4 04 xx | AID      | answered here only when the runtime has just selected this instance; FCI unless xx = 0C
 * 00 A4 02 0C | 2 id     | no answer          9000, 6700, 6A82, 6A86
 * 00 A4 02 00 | 2 id     | 6F 04 83 02 id
 * 00 B0 hh ll |          | Le; 15-bit offset into the current EF    9000, 6700, 6981, 6982, 6985, 6986, 6A82, 6A86,
 * 00 B0 8i ll |          | Le; 8-bit offset into EF i               6B00
 * </pre>
 */
final class Files {
    private static final byte SELECT_BY_NAME = 0x04;
    private static final byte SELECT_EF = 0x02;
    private static final byte NO_FCI = 0x0C;

    /** P1 of READ BINARY and P2 elsewhere: a short EF identifier follows, these bits being 100. */
    private static final byte SHORT_ID_MASK = (byte) 0xE0;
    private static final byte SHORT_ID_FORM = (byte) 0x80;
    private static final byte SHORT_ID = 0x1F;

    /** EF 0008: that certificate can be read (under its conditions). */
    private static final byte AVAILABLE = (byte) 0x8F;
    private static final short AVAILABILITY_LENGTH = 3;

    final JpkiKey auth;
    final JpkiKey sign;
    final Ef tokenInfo;

    private final Ram ram;
    private final Config config;
    private final SecureGuard guard;

    Files(Ram ram, Config config, SecureGuard guard, JpkiKey auth, JpkiKey sign, Ef tokenInfo) {
        this.ram = ram;
        this.config = config;
        this.guard = guard;
        this.auth = auth;
        this.sign = sign;
        this.tokenInfo = tokenInfo;
    }

    /**
     * Answers the SELECT by which the runtime selected us. P2's occurrence bits were the runtime's business, so of P2
     * only "no FCI" counts.
     */
    void answerSelection(APDU apdu) {
        if ((apdu.getBuffer()[ISO7816.OFFSET_P2] & NO_FCI) == NO_FCI) {
            return;
        }
        byte[] scratch = ram.scratch;
        short length = (short) (JCSystem.getAID().getBytes(scratch, (short) 4) & 0xFF);
        scratch[0] = Tag.FCI;
        scratch[1] = (byte) (length + 2);
        scratch[2] = Tag.FCI_AID;
        scratch[3] = (byte) length;
        guard.answer(apdu, scratch, (short) 0, (short) (length + 4));
    }

    /** SELECT, the runtime's own cases excepted. The current EF stays when the command fails. */
    void select(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        if (buffer[ISO7816.OFFSET_P1] == SELECT_BY_NAME) {
            // The runtime found no application of that name and hands the command to whoever is selected.
            ISOException.throwIt(Sw.FILE_NOT_FOUND);
        }
        byte p2 = buffer[ISO7816.OFFSET_P2];
        if (buffer[ISO7816.OFFSET_P1] != SELECT_EF || p2 != NO_FCI && p2 != 0) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        byte[] scratch = ram.scratch;
        if (guard.receive(apdu) != 2) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        byte id = scratch[1];
        if (scratch[0] != 0 || !exists(id)) {
            ISOException.throwIt(Sw.FILE_NOT_FOUND);
        }
        ram.vars[Ram.CURRENT_EF] = id;
        if (p2 == 0) {
            scratch[0] = Tag.FCI;
            scratch[1] = 4;
            scratch[2] = Tag.FCI_FILE_ID;
            scratch[3] = 2;
            Util.setShort(scratch, (short) 4, id);
            guard.answer(apdu, scratch, (short) 0, (short) 6);
        }
    }

    /** READ BINARY. A short EF identifier makes its file the current one when the access rule lets it be read. */
    void readBinary(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        byte p1 = buffer[ISO7816.OFFSET_P1];
        short offset = Util.getShort(buffer, ISO7816.OFFSET_P1);
        byte id = (byte) ram.vars[Ram.CURRENT_EF];
        if (p1 < 0) {
            if ((byte) (p1 & SHORT_ID_MASK) != SHORT_ID_FORM) {
                ISOException.throwIt(Sw.WRONG_P1P2);
            }
            offset = (short) (offset & 0xFF);
            // Identifier 0 means the current EF (ISO/IEC 7816-4, 7.3.1).
            byte shortId = (byte) (p1 & SHORT_ID);
            if (shortId != 0) {
                id = shortId;
                if (!exists(id)) {
                    ISOException.throwIt(Sw.FILE_NOT_FOUND);
                }
            }
        }
        if (id == Tag.EF_AVAILABILITY) {
            byte[] scratch = ram.scratch;
            scratch[0] = availability(sign);
            scratch[1] = availability(auth);
            scratch[2] = 0;
            read(apdu, id, scratch, AVAILABILITY_LENGTH, offset);
        } else {
            Ef ef = readable(id);
            read(apdu, id, ef.data, ef.length, offset);
        }
    }

    private void read(APDU apdu, byte id, byte[] data, short length, short offset) {
        ram.vars[Ram.CURRENT_EF] = id;
        if (length == 0) {
            ISOException.throwIt(Sw.FILE_NOT_FOUND);
        }
        short rest = (short) (length - offset);
        if (rest <= 0) {
            ISOException.throwIt(Sw.WRONG_OFFSET);
        }
        short wanted = guard.startAnswer(apdu);
        guard.answer(apdu, data, offset, wanted < rest ? wanted : rest);
    }

    /** @throws ISOException as the access rules say; 6981 for keys and secrets, 6986 when there is no current EF */
    private Ef readable(byte id) {
        switch (id) {
            case 0:
                ISOException.throwIt(Sw.NO_CURRENT_EF);
                break;
            case Tag.EF_AUTH_CERTIFICATE:
                requireReadable(auth, config.has(Config.FREE_AUTH_CERTIFICATE));
                break;
            case Tag.EF_SIGN_CERTIFICATE:
                requireReadable(sign, false);
                break;
            case Tag.EF_SIGN_CA:
            case Tag.EF_AUTH_CA:
            case Tag.EF_TOKEN_INFO:
                break;
            default:
                ISOException.throwIt(Sw.INCOMPATIBLE_FILE);
        }
        return stored(id);
    }

    /** The rule of a key's own certificate: by state, then free or on this medium after the user's secret. */
    private void requireReadable(JpkiKey key, boolean free) {
        if (key.state() < JpkiKey.CERTIFIED) {
            ISOException.throwIt(Sw.FILE_NOT_FOUND);
        }
        if (key.is(JpkiKey.REVOKED)) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        if (free) {
            return;
        }
        config.requireMedium(key);
        if (key.is(JpkiKey.CERTIFIED) || !key.secret.isValidated()) {
            ISOException.throwIt(Sw.SECURITY_STATUS);
        }
    }

    /** @return the file with stored content of that identifier, which must be one of the five */
    Ef stored(byte id) {
        switch (id) {
            case Tag.EF_SIGN_CERTIFICATE:
                return sign.certificate;
            case Tag.EF_SIGN_CA:
                return sign.caCertificate;
            case Tag.EF_AUTH_CERTIFICATE:
                return auth.certificate;
            case Tag.EF_AUTH_CA:
                return auth.caCertificate;
            default:
                return tokenInfo;
        }
    }

    /** @return the key whose secret P2 means: 80 the current EF's, 80 + short EF identifier */
    JpkiKey secretOf(byte p2) {
        byte id = referenced(p2);
        if (id != Tag.EF_AUTH_PIN && id != Tag.EF_SIGN_PASSWORD) {
            ISOException.throwIt(Sw.REFERENCE_NOT_FOUND);
        }
        return id == Tag.EF_AUTH_PIN ? auth : sign;
    }

    /** @return the key P2 means, as for {@link #secretOf} */
    JpkiKey keyOf(byte p2) {
        byte id = referenced(p2);
        if (id != Tag.EF_AUTH_KEY && id != Tag.EF_SIGN_KEY) {
            ISOException.throwIt(Sw.REFERENCE_NOT_FOUND);
        }
        return id == Tag.EF_AUTH_KEY ? auth : sign;
    }

    /** @return the key of the reference KK in P1 or data, or null */
    JpkiKey keyByReference(byte reference) {
        if (reference == Tag.KEY_AUTH) {
            return auth;
        }
        return reference == Tag.KEY_SIGN ? sign : null;
    }

    private byte referenced(byte p2) {
        if ((byte) (p2 & SHORT_ID_MASK) != SHORT_ID_FORM) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        byte id = (byte) (p2 & SHORT_ID);
        return id == 0 ? (byte) ram.vars[Ram.CURRENT_EF] : id;
    }

    private static byte availability(JpkiKey key) {
        return key.state() >= JpkiKey.CERTIFIED && !key.is(JpkiKey.REVOKED) ? AVAILABLE : 0;
    }

    private static boolean exists(byte id) {
        switch (id) {
            case Tag.EF_SIGN_CERTIFICATE:
            case Tag.EF_SIGN_CA:
            case Tag.EF_TOKEN_INFO:
            case Tag.EF_AVAILABILITY:
            case Tag.EF_AUTH_CERTIFICATE:
            case Tag.EF_AUTH_CA:
            case Tag.EF_AUTH_KEY:
            case Tag.EF_AUTH_PIN:
            case Tag.EF_SIGN_KEY:
            case Tag.EF_SIGN_PASSWORD:
                return true;
            default:
                return false;
        }
    }
}
