package crypt;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.Util;
import javacard.security.AESKey;
import javacard.security.Checksum;
import javacard.security.CryptoException;
import javacard.security.ECPrivateKey;
import javacard.security.ECPublicKey;
import javacard.security.HMACKey;
import javacard.security.Key;
import javacard.security.KeyAgreement;
import javacard.security.KeyBuilder;
import javacard.security.KeyPair;
import javacard.security.MessageDigest;
import javacard.security.PrivateKey;
import javacard.security.RSAPublicKey;
import javacard.security.Signature;
import javacardx.crypto.Cipher;

/** Calls each kind of cryptography with what the command says. P1 is the algorithm, P2 a mode or size. */
public class Crypt extends Applet {
    private final byte[] out = JCSystem.makeTransientByteArray((short) 600, JCSystem.CLEAR_ON_RESET);
    private KeyPair pair;

    public static void install(byte[] parameters, short offset, byte length) {
        new Crypt().register(parameters, (short) (offset + 1), parameters[offset]);
    }

    public void process(APDU apdu) {
        if (selectingApplet()) {
            return;
        }
        byte[] buffer = apdu.getBuffer();
        byte algorithm = buffer[ISO7816.OFFSET_P1];
        byte mode = buffer[ISO7816.OFFSET_P2];
        short length = apdu.setIncomingAndReceive();
        short made = 0;
        try {
            switch (buffer[ISO7816.OFFSET_INS]) {
                case 0x30:
                    made = digest(algorithm, mode, buffer, length);
                    break;
                case 0x32:
                    made = mac(algorithm, mode, buffer, length);
                    break;
                case 0x34:
                    made = cipher(algorithm, mode, buffer, length);
                    break;
                case 0x36:
                    made = ecdsaSign(algorithm, buffer, length);
                    break;
                case 0x38:
                    made = ecdsaVerify(algorithm, buffer, length);
                    break;
                case 0x3A:
                    made = generate(algorithm, mode);
                    break;
                case 0x3C:
                    made = signWithPair(algorithm, buffer, length);
                    break;
                case 0x3E:
                    made = rsa(algorithm, mode, buffer, length);
                    break;
                case 0x40: // factories of what this card does not have
                    if (mode == 0) {
                        Checksum.getInstance(algorithm, false);
                    } else {
                        KeyAgreement.getInstance(algorithm, false);
                    }
                    break;
                default:
                    ISOException.throwIt(ISO7816.SW_INS_NOT_SUPPORTED);
            }
        } catch (CryptoException e) {
            ISOException.throwIt((short) (0x6F10 + e.getReason()));
        }
        apdu.setOutgoing();
        apdu.setOutgoingLength(made);
        apdu.sendBytesLong(out, (short) 0, made);
    }

    /** Mode 0: at once; else byte by byte. */
    private short digest(byte algorithm, byte mode, byte[] data, short length) {
        MessageDigest digest = MessageDigest.getInstance(algorithm, false);
        short at = ISO7816.OFFSET_CDATA;
        if (mode != 0) {
            for (; length > 1; length--) {
                digest.update(data, at++, (short) 1);
            }
        }
        return digest.doFinal(data, at, length, out, (short) 0);
    }

    /** Mode: key length in bytes. Data: key, message. */
    private short mac(byte algorithm, byte mode, byte[] data, short length) {
        short at = (short) (ISO7816.OFFSET_CDATA + mode);
        Key key;
        if (algorithm == Signature.ALG_AES_MAC_128_NOPAD || algorithm == 49) {
            key = KeyBuilder.buildKey(KeyBuilder.TYPE_AES, (short) (mode * 8), false);
            ((AESKey) key).setKey(data, ISO7816.OFFSET_CDATA);
        } else {
            key = KeyBuilder.buildKey(KeyBuilder.TYPE_HMAC, KeyBuilder.LENGTH_HMAC_SHA_256_BLOCK_64, false);
            ((HMACKey) key).setKey(data, ISO7816.OFFSET_CDATA, mode);
        }
        Signature signature = Signature.getInstance(algorithm, false);
        signature.init(key, Signature.MODE_SIGN);
        short rest = (short) (length - mode);
        short half = (short) (rest / 2);
        signature.update(data, at, half);
        short made = signature.sign(data, (short) (at + half), (short) (rest - half), out, (short) 0);
        signature.init(key, Signature.MODE_VERIFY);
        if (!signature.verify(data, at, rest, out, (short) 0, made)) {
            ISOException.throwIt((short) 0x6F20);
        }
        out[0] ^= 1;
        signature.init(key, Signature.MODE_VERIFY);
        if (signature.verify(data, at, rest, out, (short) 0, made)) {
            ISOException.throwIt((short) 0x6F21);
        }
        out[0] ^= 1;
        return made;
    }

    /** Mode: Cipher.MODE_…. Data: AES key (16), chaining block (16), message; the first byte goes in by update. */
    private short cipher(byte algorithm, byte mode, byte[] data, short length) {
        AESKey key = (AESKey) KeyBuilder.buildKey(KeyBuilder.TYPE_AES_TRANSIENT_RESET, KeyBuilder.LENGTH_AES_128, false);
        key.setKey(data, ISO7816.OFFSET_CDATA);
        short at = (short) (ISO7816.OFFSET_CDATA + 32);
        short rest = (short) (length - 32);
        Cipher cipher = Cipher.getInstance(algorithm, false);
        if (algorithm == Cipher.ALG_AES_BLOCK_128_CBC_NOPAD || algorithm == Cipher.ALG_AES_CBC_ISO9797_M2) {
            cipher.init(key, mode, data, (short) (ISO7816.OFFSET_CDATA + 16), (short) 16);
        } else {
            cipher.init(key, mode);
        }
        short first = rest > 17 ? (short) 17 : (short) 0;
        short made = cipher.update(data, at, first, out, (short) 0);
        made += cipher.doFinal(data, (short) (at + first), (short) (rest - first), out, made);
        return made;
    }

    /** Data: private key (32), message. */
    private short ecdsaSign(byte algorithm, byte[] data, short length) {
        ECPrivateKey key = (ECPrivateKey) new KeyPair(KeyPair.ALG_EC_FP, KeyBuilder.LENGTH_EC_FP_256).getPrivate();
        pair = new KeyPair(KeyPair.ALG_EC_FP, KeyBuilder.LENGTH_EC_FP_256);
        pair.genKeyPair();
        copyDomain((ECPrivateKey) pair.getPrivate(), key);
        key.setS(data, ISO7816.OFFSET_CDATA, (short) 32);
        Signature signature = Signature.getInstance(algorithm, false);
        signature.init(key, Signature.MODE_SIGN);
        return signature.sign(data, (short) (ISO7816.OFFSET_CDATA + 32), (short) (length - 32), out, (short) 0);
    }

    private void copyDomain(ECPrivateKey from, ECPrivateKey to) {
        to.setFieldFP(out, (short) 0, from.getField(out, (short) 0));
        to.setA(out, (short) 0, from.getA(out, (short) 0));
        to.setB(out, (short) 0, from.getB(out, (short) 0));
        to.setG(out, (short) 0, from.getG(out, (short) 0));
        to.setR(out, (short) 0, from.getR(out, (short) 0));
    }

    /** Data: point (65), length of the signature, signature, message. */
    private short ecdsaVerify(byte algorithm, byte[] data, short length) {
        pair = new KeyPair(KeyPair.ALG_EC_FP, KeyBuilder.LENGTH_EC_FP_256);
        pair.genKeyPair();
        ECPublicKey key = (ECPublicKey) pair.getPublic();
        key.setW(data, ISO7816.OFFSET_CDATA, (short) 65);
        short at = (short) (ISO7816.OFFSET_CDATA + 65);
        short signed = (short) (data[at++] & 0xFF);
        short message = (short) (at + signed);
        short rest = (short) (ISO7816.OFFSET_CDATA + length - message);
        Signature signature = Signature.getInstance(algorithm, false);
        signature.init(key, Signature.MODE_VERIFY);
        out[0] = signature.verify(data, message, rest, data, at, signed) ? (byte) 1 : (byte) 0;
        return 1;
    }

    /** A pair; mode: bits / 32. Its public key. */
    private short generate(byte algorithm, byte mode) {
        pair = new KeyPair(algorithm, (short) ((mode & 0xFF) * 32));
        pair.genKeyPair();
        if (algorithm == KeyPair.ALG_EC_FP) {
            return ((ECPublicKey) pair.getPublic()).getW(out, (short) 0);
        }
        return ((RSAPublicKey) pair.getPublic()).getModulus(out, (short) 0);
    }

    private short signWithPair(byte algorithm, byte[] data, short length) {
        PrivateKey key = pair.getPrivate();
        Signature signature = Signature.getInstance(algorithm, false);
        signature.init(key, Signature.MODE_SIGN);
        short made = signature.sign(data, ISO7816.OFFSET_CDATA, length, out, (short) 0);
        if (made > signature.getLength()) {
            ISOException.throwIt((short) 0x6F22);
        }
        signature.init(pair.getPublic(), Signature.MODE_VERIFY);
        if (!signature.verify(data, ISO7816.OFFSET_CDATA, length, out, (short) 0, made)) {
            ISOException.throwIt((short) 0x6F20);
        }
        return made;
    }

    /** The pair's keys in a Cipher. Mode 1: with the private key, 2: with the public key and back with the private one. */
    private short rsa(byte algorithm, byte mode, byte[] data, short length) {
        Cipher cipher = Cipher.getInstance(algorithm, false);
        if (mode == 1) {
            cipher.init(pair.getPrivate(), Cipher.MODE_ENCRYPT);
            return cipher.doFinal(data, ISO7816.OFFSET_CDATA, length, out, (short) 0);
        }
        cipher.init(pair.getPublic(), Cipher.MODE_ENCRYPT);
        short made = cipher.doFinal(data, ISO7816.OFFSET_CDATA, length, out, (short) 0);
        cipher.init(pair.getPrivate(), Cipher.MODE_DECRYPT);
        return cipher.doFinal(out, (short) 0, made, out, (short) 0);
    }
}
