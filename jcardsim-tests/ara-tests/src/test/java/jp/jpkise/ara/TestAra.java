package jp.jpkise.ara;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.ISOException;
import jp.jpkise.sim.CardRuntime;
import jp.jpkise.sim.GpProvider;
import org.globalplatform.SecureChannel;

/** A card with the ARA-M on it, driven by APDUs over a secure channel whose C-MAC is eight bytes 4D and R-MAC 52. */
final class TestAra {
    static final byte[] INSTANCE = bytes("A00000015141434C00");
    private static final HexFormat FORMAT = HexFormat.of();

    final Stub channel = new Stub();
    final Runtime runtime = new Runtime(channel);

    TestAra() {
        this("");
    }

    /** With that value of C9; selected, no session open. */
    TestAra(String parameters) {
        runtime.changeProtocol((byte) 0x01);
        runtime.install(AraApplet.class, INSTANCE, new byte[] {0}, bytes(parameters));
        select();
    }

    static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }

    static String hex(byte... bytes) {
        return FORMAT.formatHex(bytes);
    }

    static byte[] join(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    /** One object with a length in its shortest form. */
    static byte[] tlv(String tag, byte[]... value) {
        byte[] content = join(value);
        int n = content.length;
        byte[] length = n < 0x80 ? new byte[] {(byte) n}
                : n < 0x100 ? new byte[] {(byte) 0x81, (byte) n} : new byte[] {(byte) 0x82, (byte) (n >> 8), (byte) n};
        return join(bytes(tag), length, content);
    }

    /** AID in hexadecimal, "all" or "default"; hash in hexadecimal; AR-DO's content in hexadecimal. */
    static byte[] rule(String aid, String hash, String access) {
        return tlv("E2", reference(aid, hash), tlv("E3", bytes(access)));
    }

    static byte[] reference(String aid, String hash) {
        return tlv("E1", aidRef(aid), tlv("C1", bytes(hash)));
    }

    static byte[] aidRef(String aid) {
        return switch (aid) {
            case "all" -> bytes("4F00");
            case "default" -> bytes("C000");
            default -> tlv("4F", bytes(aid));
        };
    }

    record Answer(byte[] data, int sw) {
        Answer sw(int expected, String when) {
            assertEquals(Integer.toHexString(expected), Integer.toHexString(sw), when);
            return this;
        }

        Answer sw(int expected) {
            return sw(expected, "status word");
        }

        byte[] ok() {
            sw(0x9000);
            return data;
        }
    }

    Answer send(byte[] command) {
        byte[] answer = runtime.transmitCommand(command);
        int length = answer.length - 2;
        return new Answer(Arrays.copyOf(answer, length), (answer[length] & 0xFF) << 8 | answer[length + 1] & 0xFF);
    }

    Answer send(String hex) {
        return send(bytes(hex));
    }

    Answer select() {
        return send(join(bytes("00A4040009"), INSTANCE, bytes("00"))).sw(0x9000);
    }

    TestAra open(int level) {
        channel.level = level;
        return this;
    }

    TestAra open() {
        return open(0x81);
    }

    /** One STORE DATA block in the session. */
    Answer block(int p1, int number, byte[] data) {
        byte[] head = {(byte) 0x84, (byte) 0xE2, (byte) p1, (byte) number, (byte) (data.length + 8)};
        Answer answer = send(join(head, data, Stub.C_MAC, new byte[1]));
        boolean wrapped = (channel.level & 0x10) != 0 && (answer.sw == 0x9000 || answer.sw >> 8 == 0x63);
        if (!wrapped) {
            return answer;
        }
        int length = answer.data.length - 8;
        assertArrayEquals(Stub.R_MAC, Arrays.copyOfRange(answer.data, length, length + 8));
        return new Answer(Arrays.copyOf(answer.data, length), answer.sw);
    }

    /** A command object in blocks of that size. */
    Answer store(byte[] object, int size) {
        Answer answer = null;
        for (int at = 0, number = 0; at < object.length; at += size, number++) {
            int to = Math.min(object.length, at + size);
            answer = block(to == object.length ? 0x90 : 0x10, number, Arrays.copyOfRange(object, at, to));
            if (answer.sw != 0x9000) {
                return answer;
            }
        }
        return answer;
    }

    Answer store(byte[] object) {
        return store(object, 239);
    }

    Answer add(byte[] rule) {
        return store(tlv("F0", rule));
    }

    Answer delete(byte[]... what) {
        return store(tlv("F1", what));
    }

    byte[] refreshTag() {
        byte[] answer = send("80CADF2000").ok();
        assertEquals("df2008", hex(answer).substring(0, 6));
        return Arrays.copyOfRange(answer, 3, 11);
    }

    /** The template that begins with {@code first}, all its pages. */
    byte[] pages(byte[] first) {
        byte[] whole = first;
        int head = first[2] >= 0 ? 3 : first[2] == (byte) 0x81 ? 4 : 5;
        int length = head == 3 ? first[2] : head == 4 ? first[3] & 0xFF : (first[3] & 0xFF) << 8 | first[4] & 0xFF;
        while (whole.length < head + length) {
            byte[] next = send("80CAFF6000").ok();
            assertEquals(Math.min(255, head + length - whole.length), next.length);
            whole = join(whole, next);
        }
        assertEquals(head + length, whole.length);
        send("80CAFF6000").sw(0x6A88, "nothing left");
        return whole;
    }

    byte[] all() {
        return pages(send("80CAFF4000").ok());
    }

    /** The rules as the card gives them out, each in hexadecimal, sorted. */
    List<String> rules() {
        byte[] all = all();
        List<String> rules = new ArrayList<>();
        int at = all[2] >= 0 ? 3 : all[2] == (byte) 0x81 ? 4 : 5;
        while (at < all.length) {
            assertEquals((byte) 0xE2, all[at]);
            int head = all[at + 1] >= 0 ? 2 : all[at + 1] == (byte) 0x81 ? 3 : 4;
            int length = head == 2 ? all[at + 1] : head == 3 ? all[at + 2] & 0xFF
                    : (all[at + 2] & 0xFF) << 8 | all[at + 3] & 0xFF;
            rules.add(hex(Arrays.copyOfRange(all, at, at + head + length)));
            at += head + length;
        }
        rules.sort(null);
        return rules;
    }

    Answer specific(String aid, String hash) {
        byte[] reference = reference(aid, hash);
        return send(join(bytes("80CAFF50"), new byte[] {(byte) reference.length}, reference, new byte[1]));
    }

    /** Lets the test play the security domain. */
    static final class Runtime extends CardRuntime {
        Runtime(GpProvider provider) {
            super(provider);
        }

        /** Hands a STORE DATA command to {@code processData}, as INSTALL [for personalization] has the domain do. */
        void personalize(byte[] command) {
            ((AraApplet) getApplet(new AID(INSTANCE, (short) 0, (byte) INSTANCE.length)))
                    .processData(command, (short) 0, (short) command.length);
        }
    }

    /** See the class. */
    static final class Stub implements SecureChannel, GpProvider {
        static final byte[] C_MAC = bytes("4D4D4D4D4D4D4D4D");
        static final byte[] R_MAC = bytes("5252525252525252");
        int level;

        @Override
        public SecureChannel secureChannel() {
            return this;
        }

        @Override
        public short processSecurity(APDU apdu) {
            byte[] buffer = apdu.getBuffer();
            apdu.setIncomingAndReceive();
            level = buffer[1] == 0x50 ? 0 : 0x80 | buffer[2];
            return buffer[1] == 0x50 ? (short) 29 : 0;
        }

        @Override
        public short unwrap(byte[] buffer, short offset, short length) {
            if ((level & 0x01) == 0) {
                return length;
            }
            int mac = offset + length - 8;
            if (mac < offset + 5 || !Arrays.equals(buffer, mac, mac + 8, C_MAC, 0, 8)) {
                level = 0;
                ISOException.throwIt((short) 0x6982);
            }
            buffer[offset] &= (byte) ~0x04;
            buffer[offset + 4] -= 8;
            return (short) (length - 8);
        }

        @Override
        public short wrap(byte[] buffer, short offset, short length) {
            if ((level & 0x10) == 0) {
                return (short) (length - 2);
            }
            System.arraycopy(R_MAC, 0, buffer, offset + length - 2, 8);
            return (short) (length + 6);
        }

        @Override
        public short decryptData(byte[] buffer, short offset, short length) {
            return length;
        }

        @Override
        public short encryptData(byte[] buffer, short offset, short length) {
            return length;
        }

        @Override
        public void resetSecurity() {
            level = 0;
        }

        @Override
        public byte getSecurityLevel() {
            return (byte) level;
        }
    }
}
