package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** STORE DATA: how a list is cut into blocks, what each DGI asks, and what is left after an error. */
class StoreDataTest {
    private static final byte[] CA = TestCertificate.ofSize(new byte[256], 1330);

    private static TestCard open() {
        return TestCard.installed().openChannel(0x13);
    }

    private static Answer block(TestCard card, int p1, int p2, byte[] data) {
        return card.secure(String.format("84E2%02X%02X", p1, p2), data);
    }

    private static byte[] token(int length) {
        byte[] token = new byte[length];
        new Random(length).nextBytes(token);
        return token;
    }

    // Blocks.

    @Test
    void values_run_over_blocks_of_any_size() {
        for (int size : new int[] {5, 6, 7, 16, 31, 100, 160, 223, 239}) {
            TestCard card = open();
            byte[] token = token(160);
            card.storeBlocks(TestCard.blocks(size, TestCard.dgi(0x0002, CA), TestCard.dgi(0x0006, token),
                    TestCard.dgi(0x000B, CA))).ok();
            assertArrayEquals(CA, card.readWhole(0x02), "blocks of " + size);
            assertArrayEquals(CA, card.readWhole(0x0B), "blocks of " + size);
            assertArrayEquals(token, card.readWhole(0x06), "blocks of " + size);
        }
    }

    @Test
    void block_numbers_go_round_after_255() {
        TestCard card = open();
        card.storeBlocks(TestCard.blocks(5, TestCard.dgi(0x0002, CA), TestCard.dgi(0x000B, CA))).ok();
        assertArrayEquals(CA, card.readWhole(0x0B));
    }

    @Test
    void several_dgis_share_a_block_and_a_header_may_end_one() {
        TestCard card = open();
        block(card, 0x08, 0, Hex.bytes("000602 4142 010101 00 0006 01")).ok();
        assertEquals("AB", new String(card.readWhole(0x06)), "committed at its last byte");
        block(card, 0x08, 0, Hex.bytes("000602 4142 010101 00 0006 01")).ok();
        block(card, 0x88, 1, Hex.bytes("5A")).ok();
        assertEquals("Z", new String(card.readWhole(0x06)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"00", "0006", "0002FF", "0002FF05"})
    void a_header_is_never_split(String end) {
        TestCard card = open();
        block(card, 0x08, 0, Hex.join(TestCard.dgi(0x0006, token(3)), Hex.bytes(end))).sw(0x6A80);
        assertArrayEquals(token(3), card.readWhole(0x06), "what stood before it has been committed");
    }

    @Test
    void a_secret_block_is_never_split() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.CERTIFIED);
        byte[] dgi = TestCard.dgi(0x8201, TestCard.secretBlock(TestCard.PIN));
        for (int cut : new int[] {3, 4, 34}) {
            block(card, 0x08, 0, Arrays.copyOf(dgi, cut)).sw(0x6A80);
            block(card, 0x88, 1, Arrays.copyOfRange(dgi, cut, dgi.length)).sw(0x6985);
        }
        block(card, 0x88, 0, dgi).ok();
    }

    @Test
    void a_last_block_that_leaves_a_value_open_is_6a80() {
        TestCard card = open();
        block(card, 0x88, 0, Hex.bytes("00060341")).sw(0x6A80);
        assertEquals("JPKIAPGPSETOKEN", new String(card.readWhole(0x06)).trim());
        block(card, 0x88, 0, Hex.bytes("000603414243")).ok();
    }

    @ParameterizedTest
    @CsvSource({"00, 6A86", "80, 6A86", "88, 9000", "08, 9000", "09, 6A86", "89, 6A86", "90, 6A86", "E8, 6A86", "68, 6A86"})
    void p1_says_dgis_in_clear_and_last_or_not(String p1, String sw) {
        block(open(), Integer.parseInt(p1, 16), 0, Hex.bytes("00060141")).sw(Integer.parseInt(sw, 16));
    }

    @Test
    void a_wrong_block_number_is_6985_and_ends_the_sequence() {
        TestCard card = open();
        block(card, 0x08, 1, Hex.bytes("00060141")).sw(0x6985);
        block(card, 0x08, 0, Hex.bytes("00060341")).ok();
        block(card, 0x08, 0, Hex.bytes("42")).sw(0x6985, "repeated");
        block(card, 0x08, 1, Hex.bytes("42")).sw(0x6985, "the sequence is over");
        block(card, 0x08, 0, Hex.bytes("00060341")).ok();
        block(card, 0x08, 2, Hex.bytes("42")).sw(0x6985, "skipped");
    }

    @Test
    void an_empty_block_is_6700() {
        block(open(), 0x88, 0, new byte[0]).sw(0x6700);
    }

    @ParameterizedTest
    @ValueSource(strings = {"80CADF3100", "00A4020C020006", "00B0860001", "00200098", "0084000008", "80E2080100", "00FF0000",
        "0CB0860001", "802A0080"})
    void any_other_command_ends_the_sequence(String other) {
        TestCard card = open();
        block(card, 0x08, 0, Hex.join(TestCard.dgi(0x0006, token(5)), Hex.bytes("00060541"))).ok();
        card.send(other);
        block(card, 0x88, 1, Hex.bytes("42434445")).sw(0x6985);
        assertArrayEquals(token(5), card.readWhole(0x06), "what was committed stays");
    }

    // DGIs.

    @ParameterizedTest
    @ValueSource(strings = {"0000", "0003", "0008", "0100", "0102", "0103", "8200", "8203", "8113", "00B9", "FFFF"})
    void an_unknown_dgi_is_6a88(String dgi) {
        block(open(), 0x88, 0, Hex.bytes(dgi + "0100")).sw(0x6A88);
    }

    @ParameterizedTest
    @CsvSource({"0006, 160, 161", "0002, 1536, 1537", "000B, 1536, 1537"})
    void a_file_takes_its_size_and_not_a_byte_more(String dgi, int fits, int large) {
        TestCard card = open();
        int tag = Integer.parseInt(dgi, 16);
        card.storeData(TestCard.dgi(tag, token(fits))).ok();
        assertArrayEquals(token(fits), card.readWhole(tag));
        card.storeData(TestCard.dgi(tag, token(large))).sw(0x6A84);
        block(card, 0x88, 0, Hex.bytes(dgi + "FF8000" + "00")).sw(0x6A84);
        block(card, 0x88, 0, Hex.bytes(dgi + "FFFFFF" + "00")).sw(0x6A84);
    }

    @ParameterizedTest
    @CsvSource({"1, 2048", "2, 2560"})
    void a_certificate_fills_its_file(int key, int size) {
        TestCard card = TestCard.installed().bring(key, JpkiKey.KEYED);
        int tag = TestCard.certificateEf(key);
        byte[] large = TestCertificate.ofSize(card.modulus(key), size + 1);
        card.storeData(TestCard.dgi(tag, large)).sw(0x6A84);
        card.storeData(TestCard.dgi(tag, TestCertificate.ofSize(card.modulus(key), size))).ok();
        assertEquals(JpkiKey.CERTIFIED, card.state(key));
    }

    @ParameterizedTest
    @ValueSource(strings = {"0006", "0002", "0101"})
    void a_dgi_without_a_value_is_6a80(String dgi) {
        block(open(), 0x88, 0, Hex.bytes(dgi + "00")).sw(0x6A80);
        block(open(), 0x88, 0, Hex.bytes(dgi + "FF0000")).sw(0x6A80);
    }

    @Test
    void a_long_form_length_may_be_short() {
        TestCard card = open();
        block(card, 0x88, 0, Hex.bytes("0006FF0002" + "4142")).ok();
        assertEquals("AB", new String(card.readWhole(0x06)));
    }

    @Test
    void an_interrupted_ca_certificate_leaves_none() {
        TestCard card = open();
        card.storeData(TestCard.dgi(0x0002, CA)).ok();
        block(card, 0x08, 0, Hex.join(Hex.bytes("0002FF0532"), new byte[100])).ok();
        card.read(0x02, 0, 0).sw(0x6A82);
        card.storeData(TestCard.dgi(0x0002, CA)).ok();
        assertArrayEquals(CA, card.readWhole(0x02));
    }

    @Test
    void interrupted_token_information_leaves_the_old() {
        TestCard card = open();
        card.storeData(TestCard.dgi(0x0006, token(160))).ok();
        block(card, 0x08, 0, Hex.join(Hex.bytes("0006A0"), new byte[159])).ok();
        assertArrayEquals(token(160), card.readWhole(0x06));
    }

    @Test
    void the_policy_is_one_byte_of_known_bits() {
        TestCard card = TestCard.active();
        card.openChannel();
        block(card, 0x88, 0, Hex.bytes("01010101")).ok();
        card.read(0x0A, 0, 4).ok();
        block(card, 0x88, 0, Hex.bytes("01010110")).sw(0x6A80);
        block(card, 0x88, 0, Hex.bytes("0101020000")).sw(0x6A80);
        card.read(0x0A, 0, 4).ok();
        block(card, 0x08, 0, Hex.bytes("010101")).ok();
        block(card, 0x88, 1, Hex.bytes("00")).ok();
        card.read(0x0A, 0, 4).sw(0x6982);
    }

    @ParameterizedTest
    @CsvSource({"8201, 31", "8201, 33", "8202, 1"})
    void a_secret_block_of_another_length_is_6a80(String dgi, int length) {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.CERTIFIED).bring(TestCard.SIGN, JpkiKey.CERTIFIED);
        card.storeData(TestCard.dgi(Integer.parseInt(dgi, 16), new byte[length])).sw(0x6A80);
    }

    @Test
    void a_temporary_secret_of_wrong_form_is_6a80_and_those_before_it_stay() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.CERTIFIED).bring(TestCard.SIGN, JpkiKey.CERTIFIED);
        card.storeData(TestCard.dgi(0x8201, TestCard.secretBlock(TestCard.PIN)),
                TestCard.dgi(0x8202, TestCard.secretBlock(Hex.ascii("lower1")))).sw(0x6A80);
        card.change(TestCard.AUTH, TestCard.PIN, Hex.ascii("5555")).ok();
        card.change(TestCard.SIGN, Hex.ascii("lower1"), Hex.ascii("ABC123")).sw(0x6985);
    }

    // A certificate must fit the key.

    @Test
    void a_certificate_for_another_key_is_6a80_and_another_try_is_welcome() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED);
        byte[] modulus = card.modulus(TestCard.AUTH);
        byte[] exponent = Hex.bytes("010001");
        byte[] version = TestCertificate.tlv(0xA0, TestCertificate.tlv(0x02, new byte[] {2}));
        byte[] otherModulus = modulus.clone();
        otherModulus[255] ^= 2;
        byte[] right = TestCertificate.of(modulus);
        byte[] keyInfo = TestCertificate.subjectPublicKeyInfo(TestCertificate.RSA, modulus, exponent);
        byte[] otherKeyInfo = TestCertificate.subjectPublicKeyInfo(TestCertificate.RSA, otherModulus, exponent);
        byte[] shortKeyInfo = TestCertificate.subjectPublicKeyInfo(
                TestCertificate.RSA, Arrays.copyOf(modulus, 255), exponent);
        List<byte[]> wrong = List.of(
                TestCertificate.of(otherModulus),
                TestCertificate.around(version, shortKeyInfo, 100),
                TestCertificate.around(version, TestCertificate.subjectPublicKeyInfo(
                        TestCertificate.RSA, modulus, Hex.bytes("03")), 100),
                TestCertificate.around(version, TestCertificate.subjectPublicKeyInfo(
                        TestCertificate.RSA, modulus, Hex.bytes("010003")), 100),
                TestCertificate.around(version, TestCertificate.subjectPublicKeyInfo(
                        Hex.bytes("300D06092A864886F70D01010A0500"), modulus, exponent), 100),
                // The right key, in the wrong place.
                TestCertificate.around(Hex.join(version, keyInfo), otherKeyInfo, 100),
                TestCertificate.around(version, Hex.join(otherKeyInfo, keyInfo), 100),
                Hex.join(right, new byte[1]),
                Arrays.copyOf(right, right.length - 1),
                keyInfo,
                TestCertificate.tlv(0x31, Arrays.copyOfRange(right, 4, right.length)),
                new byte[1], new byte[2], Hex.bytes("3000"), Hex.bytes("3080"), Hex.bytes("30820000"),
                Hex.bytes("300230FF"), Hex.bytes("30023000"), Hex.bytes("3084000000023000"));
        for (int i = 0; i < wrong.size(); i++) {
            card.storeData(TestCard.dgi(0x000A, wrong.get(i))).sw(0x6A80, "certificate " + i);
            assertEquals(JpkiKey.KEYED, card.state(TestCard.AUTH));
            card.read(0x0A, 0, 4).sw(0x6A82);
        }
        card.storeData(TestCard.dgi(0x000A, TestCertificate.around(new byte[0], keyInfo, 100))).ok();
    }

    @Test
    void no_flipped_byte_makes_a_certificate_crash_the_applet() throws Exception {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED);
        JpkiKey key = Inside.key(card, TestCard.AUTH);
        byte[] right = TestCertificate.of(card.modulus(TestCard.AUTH), 1);
        Random random = new Random(3);
        for (int i = 0; i < 8 * right.length; i++) {
            byte[] flipped = right.clone();
            flipped[i / 8] ^= (byte) (1 << random.nextInt(8));
            if (card.storeData(TestCard.dgi(0x000A, flipped)).sw() == 0x9000) {
                // The flip was in a value nobody looks at; back to KEYED without the wait for a new key.
                Inside.set(key, "state", JpkiKey.KEYED);
                key.certificate.length = 0;
            } else {
                card.storeData(TestCard.dgi(0x000A, flipped)).sw(0x6A80, "byte " + i / 8);
            }
        }
    }
}
