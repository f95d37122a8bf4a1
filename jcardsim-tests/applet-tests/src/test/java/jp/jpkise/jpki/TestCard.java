package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.spec.RSAPublicKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jp.jpkise.sim.CardRuntime;

/** A card with the JPKI applet on it and a stubbed secure channel, driven by APDUs. */
final class TestCard {
    static final byte[] AID = Hex.bytes("D392F000260100000001");
    static final int AUTH = 1;
    static final int SIGN = 2;
    static final byte[] PIN = Hex.ascii("1234");
    static final byte[] PASSWORD = Hex.ascii("ABC123");
    static final int LEVEL_13 = 0x93;
    static final int LEVEL_33 = 0xB3;

    final StubChannel channel = new StubChannel();
    final CardRuntime runtime = new CardRuntime(channel);

    /** Installs with that value of C9 and selects. */
    static TestCard installed(String parameters) {
        TestCard card = new TestCard();
        card.runtime.changeProtocol((byte) 0x01);
        card.runtime.install(JpkiApplet.class, AID, new byte[] {0}, Hex.bytes(parameters));
        card.select();
        return card;
    }

    static TestCard installed() {
        return installed("");
    }

    /** Issued up to ACTIVE for both keys, with {@link #PIN} and {@link #PASSWORD}; no channel is open. */
    static TestCard active(String parameters) {
        TestCard card = installed(parameters);
        card.bring(AUTH, JpkiKey.ACTIVE);
        card.bring(SIGN, JpkiKey.ACTIVE);
        card.select();
        return card;
    }

    static TestCard active() {
        return active("");
    }

    static byte[] secret(int key) {
        return key == AUTH ? PIN : PASSWORD;
    }

    static int pinEf(int key) {
        return key == AUTH ? 0x18 : 0x1B;
    }

    static int keyEf(int key) {
        return key == AUTH ? 0x17 : 0x1A;
    }

    static int certificateEf(int key) {
        return key == AUTH ? 0x0A : 0x01;
    }

    static int caEf(int key) {
        return key == AUTH ? 0x0B : 0x02;
    }

    // Plain commands.

    Answer send(byte[] command) {
        return Answer.parse(runtime.transmitCommand(command));
    }

    Answer send(String hex) {
        return send(Hex.bytes(hex));
    }

    /** Header, data and, unless negative, Le. */
    Answer send(String header, byte[] data, int le) {
        byte[] command = Hex.join(Hex.bytes(header), data.length == 0 ? new byte[0] : new byte[] {(byte) data.length}, data,
                le < 0 ? new byte[0] : new byte[] {(byte) le});
        return send(command);
    }

    Answer select() {
        return send("00A4040C", AID, -1).ok();
    }

    Answer selectEf(int id) {
        return send(String.format("00A4020C0200%02X", id));
    }

    Answer verify(int key, byte[] secret) {
        return send(String.format("002000%02X", 0x80 | pinEf(key)), secret, -1);
    }

    Answer verify(int key) {
        return verify(key, secret(key));
    }

    int triesLeft(int key) {
        Answer answer = verify(key, new byte[0]);
        assertTrue((answer.sw() & 0xFFF0) == 0x63C0, "the empty VERIFY answers 63Cx");
        return answer.sw() & 0x0F;
    }

    /** CHANGE REFERENCE DATA with the old value. */
    Answer change(int key, byte[] old, byte[] fresh) {
        byte[] padded = Arrays.copyOf(old, key == AUTH ? 4 : 16);
        Arrays.fill(padded, Math.min(old.length, padded.length), padded.length, (byte) 0xFF);
        return send(String.format("002400%02X", 0x80 | pinEf(key)), Hex.join(padded, fresh), -1);
    }

    Answer sign(int key, int scheme, byte[] data) {
        return send(String.format("802A%02X%02X", scheme, 0x80 | keyEf(key)), data, 0);
    }

    /** READ BINARY by short EF identifier. */
    Answer read(int ef, int offset, int le) {
        return send(String.format("00B0%02X%02X%02X", 0x80 | ef, offset, le));
    }

    byte[] readWhole(int ef) {
        selectEf(ef).ok();
        byte[] whole = new byte[0];
        while (true) {
            Answer part = send(String.format("00B0%04X00", whole.length));
            if (part.sw() == 0x6B00) {
                return whole;
            }
            assertTrue(part.ok().data().length > 0, "behind the end it is 6B00, not an answer without data");
            whole = Hex.join(whole, part.data());
        }
    }

    int state(int key) {
        return send("80CADF3100").ok().data()[key == AUTH ? 0 : 2];
    }

    // The secure channel.

    /** Opens a session through the applet, at the level of EXTERNAL AUTHENTICATE's P1. */
    TestCard openChannel(int p1) {
        assertArrayEquals(StubChannel.INITIALIZE_UPDATE_ANSWER, send("80503000", new byte[8], 0).ok().data());
        send(String.format("8482%02X00", p1), new byte[16], -1).ok();
        return this;
    }

    TestCard openChannel() {
        return openChannel(0x33);
    }

    /** A command as the level of the session wants it, its answer checked and taken apart. */
    Answer secure(String header, byte[] data) {
        return unprotect(send(header, protect(data), 0));
    }

    Answer secure(String header) {
        return secure(header, new byte[0]);
    }

    byte[] protect(byte[] data) {
        byte[] sent = data.clone();
        if ((channel.level() & 0x02) != 0) {
            StubChannel.turn(sent, 0, sent.length, StubChannel.COMMAND_KEY);
        }
        return (channel.level() & 0x01) != 0 ? Hex.join(sent, StubChannel.C_MAC_BYTES) : sent;
    }

    private Answer unprotect(Answer answer) {
        int sw1 = answer.sw() >> 8;
        if (sw1 != 0x90 && sw1 != 0x62 && sw1 != 0x63) {
            assertTrue(answer.data().length == 0, "an error leaves bare");
            return answer;
        }
        if ((channel.level() & 0x10) == 0) {
            return answer;
        }
        int length = answer.data().length - 8;
        assertTrue(length >= 0, "an answer carries an R-MAC");
        assertArrayEquals(StubChannel.R_MAC_BYTES, Arrays.copyOfRange(answer.data(), length, length + 8));
        byte[] data = Arrays.copyOf(answer.data(), length);
        if ((channel.level() & 0x20) != 0) {
            StubChannel.turn(data, 0, length, StubChannel.RESPONSE_KEY);
        }
        return new Answer(data, answer.sw());
    }

    /** An admin command on a key: 84 ins KK 00. */
    Answer admin(int ins, int key, byte[] data) {
        return secure(String.format("84%02X%02X00", ins, key), data);
    }

    Answer admin(int ins, int key) {
        return admin(ins, key, new byte[0]);
    }

    // Issuance.

    static byte[] dgi(int tag, byte[] value) {
        byte[] head = value.length < 0xFF
                ? Hex.bytes(String.format("%04X%02X", tag, value.length))
                : Hex.bytes(String.format("%04XFF%04X", tag, value.length));
        return Hex.join(head, value);
    }

    /** The block size a host has at level 33 with S16 MACs: the smallest of all. */
    static final int BLOCK = 223;

    /** Packs DGIs as a host does: headers, and 8201 and 8202 whole, stay in one block. */
    static List<byte[]> blocks(int size, byte[]... dgis) {
        List<byte[]> blocks = new ArrayList<>();
        byte[] block = new byte[0];
        for (byte[] dgi : dgis) {
            boolean whole = dgi[0] == (byte) 0x82;
            int together = whole ? dgi.length : dgi[2] == (byte) 0xFF ? 5 : 3;
            if (block.length + together > size) {
                blocks.add(block);
                block = new byte[0];
            }
            for (int i = 0; i < dgi.length; ) {
                int part = Math.min(size - block.length, dgi.length - i);
                block = Hex.join(block, Arrays.copyOfRange(dgi, i, i + part));
                i += part;
                if (i < dgi.length) {
                    blocks.add(block);
                    block = new byte[0];
                }
            }
        }
        blocks.add(block);
        return blocks;
    }

    /** Sends the blocks in one sequence; stops at the first error. */
    Answer storeBlocks(List<byte[]> blocks) {
        Answer answer = null;
        for (int i = 0; i < blocks.size(); i++) {
            answer = secure(String.format("84E2%02X%02X", i == blocks.size() - 1 ? 0x88 : 0x08, i & 0xFF), blocks.get(i));
            if (answer.sw() != 0x9000) {
                return answer;
            }
        }
        return answer;
    }

    Answer storeData(byte[]... dgis) {
        return storeBlocks(blocks(BLOCK, dgis));
    }

    /** 8 random, length, secret, filling: under the DEK. */
    static byte[] secretBlock(byte[] secret) {
        byte[] block = new byte[32];
        Arrays.fill(block, (byte) 0x77);
        block[8] = (byte) secret.length;
        System.arraycopy(secret, 0, block, 9, Math.min(secret.length, 23));
        StubChannel.turn(block, 0, 32, StubChannel.DATA_KEY);
        return block;
    }

    /** 7F49 { 81 modulus, 82 exponent }. */
    byte[] publicKeyTemplate(int key) {
        byte[] first = secure("84CA7F49", new byte[] {(byte) key, 0}).ok().data();
        byte[] second = secure("84CA7F49", new byte[] {(byte) key, 1}).ok().data();
        return Hex.join(first, second);
    }

    byte[] modulus(int key) {
        return Arrays.copyOfRange(publicKeyTemplate(key), 9, 9 + 256);
    }

    static PublicKey publicKey(byte[] modulus) {
        try {
            return KeyFactory.getInstance("RSA")
                    .generatePublic(new RSAPublicKeySpec(new BigInteger(1, modulus), BigInteger.valueOf(65537)));
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    /** Takes an EMPTY key to that state, in a new channel session that stays open. */
    TestCard bring(int key, int state) {
        if (state == JpkiKey.EMPTY) {
            return this;
        }
        openChannel();
        admin(0x46, key).ok();
        if (state == JpkiKey.KEYED) {
            return this;
        }
        storeData(dgi(certificateEf(key), TestCertificate.of(modulus(key)))).ok();
        if (state == JpkiKey.CERTIFIED) {
            return this;
        }
        byte[] temporary = key == AUTH ? Hex.ascii("9999") : Hex.ascii("TEMP0000");
        admin(0x2C, key, secretBlock(temporary)).ok();
        change(key, temporary, secret(key)).ok();
        if (state == JpkiKey.HELD) {
            admin(0x04, key).ok();
        } else if (state == JpkiKey.REVOKED) {
            admin(0xE8, key).ok();
        }
        return this;
    }
}
