package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Seeded random and mutated commands in every state: no 6F00, no change without success, no secret in an answer. */
class HostileTest {
    private static final byte[] PASSWORD = Hex.ascii("QWERTY0123456789");
    private static final byte[] CLASSES = Hex.bytes("000001020304050680818284858790919400088C40C0FF");
    private static final byte[] INSTRUCTIONS = Hex.bytes("20242A2B2C0444464650828284A4A4B0B0CACACAE2E2E2E4E800FF");
    private static final byte[] PARAMETERS = Hex.bytes("00010203040506080A0B0C7F8080818288899798 9A9BDFFF".replace(" ", ""));
    private static final byte[] SECONDS = Hex.bytes("000001020C303132333E4980979800989A9BFF");

    private final Random random = new Random();

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5})
    void in_every_state(int state) throws Exception {
        random.setSeed(20_261_123 + state);
        TestCard card = TestCard.installed("8102 0F0F 84020303".replace(" ", ""));
        card.bring(TestCard.AUTH, state).bring(TestCard.SIGN, state);
        if (state >= JpkiKey.ACTIVE && state != JpkiKey.REVOKED) {
            card.change(TestCard.SIGN, TestCard.PASSWORD, PASSWORD).ok();
        }
        for (int i = 0; i < 5_000; i++) {
            if (random.nextInt(40) == 0) {
                card.select();
                card.channel.resetSecurity();
                card.channel.setLevel(new int[] {0, 0x80, 0x81, 0x83, 0x91, 0x93, 0xB3}[random.nextInt(7)]);
                if (random.nextBoolean()) {
                    card.verify(TestCard.AUTH);
                    card.verify(TestCard.SIGN, PASSWORD);
                }
            }
            byte[] command = command(card);
            if (command[1] == 0x46 || command[1] == (byte) 0xE4 || command[1] == (byte) 0xE8) {
                // Generation takes long, and deletion and revocation leave the state this run is about.
                command[2] = 0x07;
            }
            byte[] before = image(card);
            Answer answer = card.send(command);
            String what = "command " + i + ": " + Hex.of(command);
            assertNotEquals(0x6F00, answer.sw(), what);
            assertNotEquals(0x6581, answer.sw(), what);
            assertNotEquals(0x61, answer.sw() >> 8, what);
            if (answer.sw() != 0x9000 && (answer.sw() >> 8) != 0x63) {
                assertArrayEquals(before, image(card), "a refused command changed something: " + what);
                assertFalse(answer.data().length > 0, what);
            }
            assertFalse(contains(answer.data(), PASSWORD), what);
        }
    }

    /** States, tries and counters: what no refused command may touch. A CA certificate may go when its successor fails. */
    private static byte[] image(TestCard card) throws ReflectiveOperationException {
        byte[] image = new byte[24];
        int at = 0;
        for (int number : new int[] {TestCard.AUTH, TestCard.SIGN}) {
            JpkiKey key = Inside.key(card, number);
            image[at] = key.state();
            image[at + 1] = key.secret.getTriesRemaining();
            image[at + 2] = (byte) (key.certificate.length >> 8);
            image[at + 3] = (byte) key.certificate.length;
            key.counters(image, (short) (at + 4));
            at += 12;
        }
        return image;
    }

    private byte[] command(TestCard card) {
        byte[] header = {pick(CLASSES), pick(INSTRUCTIONS), pick(PARAMETERS), pick(SECONDS)};
        if (random.nextInt(8) == 0) {
            random.nextBytes(header);
        }
        int[] lengths = {0, 1, 2, 4, 5, 8, 10, 16, 20, 22, 32, 35, 36, 51, 100, 223, 239, 245, 247, 255};
        byte[] data = new byte[lengths[random.nextInt(lengths.length)]];
        random.nextBytes(data);
        if (data.length >= 6 && random.nextBoolean()) {
            byte[] dgi = Hex.bytes(new String[] {"000105", "000A01", "000220", "000BFF0600", "000610", "820120", "820220",
                "010101", "0000FF", "0006A0", "0001FF0A00"}[random.nextInt(11)]);
            System.arraycopy(dgi, 0, data, 0, dgi.length);
        }
        if ((header[0] & 0x04) != 0 && data.length <= 239 && random.nextInt(5) != 0) {
            data = card.protect(data);
        }
        byte[] le = random.nextBoolean() ? new byte[0] : new byte[] {(byte) (random.nextBoolean() ? 0 : random.nextInt())};
        byte[] lc = data.length == 0 ? new byte[0] : new byte[] {(byte) data.length};
        byte[] command = Hex.join(header, lc, data, le);
        if (random.nextInt(20) == 0) {
            command = Arrays.copyOf(command, 4 + random.nextInt(command.length - 3));
        }
        return command;
    }

    private byte pick(byte[] from) {
        return from[random.nextInt(from.length)];
    }

    private static boolean contains(byte[] data, byte[] secret) {
        for (int i = 0; i + secret.length <= data.length; i++) {
            if (Arrays.equals(data, i, i + secret.length, secret, 0, secret.length)) {
                return true;
            }
        }
        return false;
    }
}
