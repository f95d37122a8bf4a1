package jp.jpkise.jpki;

import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.Util;

/**
 * STORE DATA: data groupings over as many blocks as they need.
 *
 * <pre>
 * 84 E2 08 nn | part of the list; more follows         9000, 6700, 6982, 6985, 6A80, 6A84, 6A86, 6A88
 * 84 E2 88 nn | the last part
 *   list = { DGI (2), length (1, or FF hi lo), value }
 *   0001 000A  certificate of the signature / authentication key; that key KEYED; at its last byte CERTIFIED
 *   0002 000B  CA certificate above it; that key EMPTY or KEYED
 *   0006       token information
 *   0101       policy byte
 *   8201 8202  secret block of a temporary PIN / password; that key CERTIFIED or ACTIVE
 * </pre>
 *
 * nn counts from 00. A header, and the value of 8201 and 8202, stand in one block. Each DGI takes effect at its last byte;
 * an error, or any other command, ends the sequence and leaves what has taken effect.
 */
final class StoreData {
    private static final byte P1_MORE_BLOCKS = 0x08;
    private static final byte P1_LAST_BLOCK = (byte) 0x88;

    private static final short LONG_LENGTH = 0xFF;
    private static final short POLICY = 1;

    private final Ram ram;
    private final Config config;
    private final Files files;
    private final Secrets secrets;

    StoreData(Ram ram, Config config, Files files, Secrets secrets) {
        this.ram = ram;
        this.config = config;
        this.files = files;
        this.secrets = secrets;
    }

    /**
     * @param buffer the APDU buffer with the block's data at offset 5
     * @param length of the data; the caller has checked the channel
     */
    void store(byte[] buffer, short length) {
        short[] vars = ram.vars;
        byte p1 = buffer[ISO7816.OFFSET_P1];
        if (p1 != P1_MORE_BLOCKS && p1 != P1_LAST_BLOCK) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        byte number = buffer[ISO7816.OFFSET_P2];
        if (number != (byte) vars[Ram.NEXT_BLOCK]) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        if (length == 0) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        short offset = ISO7816.OFFSET_CDATA;
        short end = (short) (offset + length);
        while (offset < end) {
            if (vars[Ram.DGI] == 0) {
                offset = readHeader(buffer, offset, end);
            }
            short part = (short) (end - offset);
            short missing = (short) (vars[Ram.DGI_LENGTH] - vars[Ram.DGI_DONE]);
            if (part > missing) {
                part = missing;
            }
            take(buffer, offset, part);
            offset = (short) (offset + part);
            vars[Ram.DGI_DONE] = (short) (vars[Ram.DGI_DONE] + part);
            if (part == missing) {
                complete(vars[Ram.DGI_LENGTH]);
                vars[Ram.DGI] = 0;
            }
        }
        vars[Ram.NEXT_BLOCK] = (byte) (number + 1);
        if (p1 == P1_LAST_BLOCK) {
            if (vars[Ram.DGI] != 0) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
            vars[Ram.NEXT_BLOCK] = 0;
        }
    }

    /** @return offset behind the header */
    private short readHeader(byte[] buffer, short offset, short end) {
        if ((short) (end - offset) < 3) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        short dgi = Util.getShort(buffer, offset);
        short length = (short) (buffer[(short) (offset + 2)] & 0xFF);
        offset = (short) (offset + 3);
        if (length == LONG_LENGTH) {
            if ((short) (end - offset) < 2) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
            length = Util.getShort(buffer, offset);
            offset = (short) (offset + 2);
        }
        if (length == 0) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        admit(dgi, length, (short) (end - offset));
        ram.vars[Ram.DGI] = dgi;
        ram.vars[Ram.DGI_LENGTH] = length;
        ram.vars[Ram.DGI_DONE] = 0;
        return offset;
    }

    /**
     * Decides, before the first byte is taken, whether the DGI may come now and fits.
     *
     * @param length of its value; negative means 32768 and more
     * @param inBlock how much of this block is behind the header
     */
    private void admit(short dgi, short length, short inBlock) {
        switch (dgi) {
            case Tag.DGI_SIGN_CERTIFICATE:
            case Tag.DGI_AUTH_CERTIFICATE:
                keyOfFile(dgi).require(JpkiKey.KEYED);
                requireSpace(dgi, length);
                break;
            case Tag.DGI_SIGN_CA:
            case Tag.DGI_AUTH_CA:
                keyOfFile(dgi).require(JpkiKey.EMPTY, JpkiKey.KEYED);
                requireSpace(dgi, length);
                files.stored((byte) dgi).length = 0;
                break;
            case Tag.DGI_TOKEN_INFO:
                requireSpace(dgi, length);
                break;
            case Tag.DGI_POLICY:
                requireLength(length, POLICY);
                break;
            case Tag.DGI_TEMPORARY_PIN:
            case Tag.DGI_TEMPORARY_PASSWORD:
                keyOfTemporary(dgi).require(JpkiKey.CERTIFIED, JpkiKey.ACTIVE);
                requireLength(length, Secrets.BLOCK);
                if (inBlock < Secrets.BLOCK) {
                    ISOException.throwIt(Sw.WRONG_DATA);
                }
                break;
            default:
                ISOException.throwIt(Sw.REFERENCE_NOT_FOUND);
        }
    }

    private void take(byte[] buffer, short offset, short length) {
        short dgi = ram.vars[Ram.DGI];
        short done = ram.vars[Ram.DGI_DONE];
        switch (dgi) {
            case Tag.DGI_TEMPORARY_PIN:
            case Tag.DGI_TEMPORARY_PASSWORD:
                secrets.setTemporary(keyOfTemporary(dgi), buffer, offset);
                break;
            case Tag.DGI_TOKEN_INFO:
                Util.arrayCopyNonAtomic(buffer, offset, ram.scratch, done, length);
                break;
            case Tag.DGI_POLICY:
                if (length != 0) {
                    config.setPolicy(buffer[offset]);
                }
                break;
            default:
                Util.arrayCopyNonAtomic(buffer, offset, files.stored((byte) dgi).data, done, length);
        }
    }

    /** The last byte of a DGI is there: makes it count. */
    private void complete(short length) {
        short dgi = ram.vars[Ram.DGI];
        Ef ef = files.stored((byte) dgi);
        switch (dgi) {
            case Tag.DGI_SIGN_CERTIFICATE:
            case Tag.DGI_AUTH_CERTIFICATE:
                JpkiKey key = keyOfFile(dgi);
                Certificate.requireFor(key, ef.data, length, ram.scratch);
                key.certify(length);
                break;
            case Tag.DGI_SIGN_CA:
            case Tag.DGI_AUTH_CA:
                ef.length = length;
                break;
            case Tag.DGI_TOKEN_INFO:
                JCSystem.beginTransaction();
                Util.arrayCopy(ram.scratch, (short) 0, ef.data, (short) 0, length);
                ef.length = length;
                JCSystem.commitTransaction();
                break;
            default:
                // The policy and the temporary secrets took effect when they were taken.
        }
    }

    private JpkiKey keyOfFile(short dgi) {
        return dgi >= Tag.DGI_AUTH_CERTIFICATE ? files.auth : files.sign;
    }

    private JpkiKey keyOfTemporary(short dgi) {
        return dgi == Tag.DGI_TEMPORARY_PIN ? files.auth : files.sign;
    }

    private void requireSpace(short dgi, short length) {
        if (length < 0 || length > (short) files.stored((byte) dgi).data.length) {
            ISOException.throwIt(Sw.NOT_ENOUGH_SPACE);
        }
    }

    private static void requireLength(short length, short wanted) {
        if (length != wanted) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }
}
