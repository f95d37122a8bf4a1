package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** VERIFY, CHANGE REFERENCE DATA and the temporary secrets; numbers are sections of the card edge's reference page. */
class SecretsTest {
    private static final byte[] WRONG_PIN = Hex.ascii("4321");
    private static final byte[] WRONG_PASSWORD = Hex.ascii("XYZ987");
    private static final byte[] TEMPORARY_PIN = Hex.ascii("9999");

    private static byte[] wrong(int key) {
        return key == TestCard.AUTH ? WRONG_PIN : WRONG_PASSWORD;
    }

    private static TestCard certifiedWithTemporaryPin() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.CERTIFIED);
        card.admin(0x2C, TestCard.AUTH, TestCard.secretBlock(TEMPORARY_PIN)).ok();
        return card;
    }

    /** Section 5. */
    @ParameterizedTest
    @CsvSource({"1, 3", "2, 5"})
    void each_wrong_secret_costs_a_try_the_last_answers_63c0_and_then_it_is_6984(int key, int tries) {
        TestCard card = TestCard.active();
        for (int left = tries - 1; left >= 0; left--) {
            card.verify(key, wrong(key)).sw(0x63C0 | left);
            assertEquals(left, card.triesLeft(key));
        }
        card.verify(key, wrong(key)).sw(0x6984);
        card.verify(key).sw(0x6984, "the right one comes too late");
        card.change(key, TestCard.secret(key), TestCard.secret(key)).sw(0x6984);
        card.sign(key, 0, new byte[1]).sw(0x6982);
        card.select();
        card.verify(key).sw(0x6984, "also after selecting again");
        card.runtime.reset();
        card.select();
        card.verify(key).sw(0x6984, "also after a reset");
        assertEquals(0, card.triesLeft(key));
    }

    @Test
    void the_policy_makes_a_blocked_secret_answer_6983() {
        TestCard card = TestCard.active("820102");
        for (int i = 0; i < 3; i++) {
            card.verify(TestCard.AUTH, WRONG_PIN);
        }
        card.verify(TestCard.AUTH).sw(0x6983);
    }

    @Test
    void a_right_secret_gives_the_tries_back() {
        TestCard card = TestCard.active();
        card.verify(TestCard.AUTH, WRONG_PIN).sw(0x63C2);
        card.verify(TestCard.AUTH, WRONG_PIN).sw(0x63C1);
        card.verify(TestCard.AUTH).ok();
        assertEquals(3, card.triesLeft(TestCard.AUTH));
    }

    /** Section 9, 3: four or five bytes, never a try, never the verified flag. */
    @ParameterizedTest
    @ValueSource(strings = {"00200080", "0020008000", "00200098", "0020009800"})
    void the_empty_verify_answers_63cx_whatever_the_state(String command) {
        TestCard card = TestCard.installed();
        card.selectEf(0x18).ok();
        card.send(command).sw(0x63C3, "EMPTY");
        card.bring(TestCard.AUTH, JpkiKey.KEYED);
        card.send(command).sw(0x63C3, "KEYED");
        card.admin(0xE4, TestCard.AUTH).ok();
        card.bring(TestCard.AUTH, JpkiKey.CERTIFIED);
        card.send(command).sw(0x63C3, "CERTIFIED");
        card.admin(0xE4, TestCard.AUTH).ok();
        card.bring(TestCard.AUTH, JpkiKey.ACTIVE);
        card.verify(TestCard.AUTH).ok();
        card.send(command).sw(0x63C3, "verified");
        card.sign(TestCard.AUTH, 0, new byte[1]).ok();
        card.verify(TestCard.AUTH, WRONG_PIN).sw(0x63C2);
        card.send(command).sw(0x63C2, "after a wrong one");
        card.verify(TestCard.AUTH, WRONG_PIN).sw(0x63C1);
        card.verify(TestCard.AUTH, WRONG_PIN).sw(0x63C0);
        card.send(command).sw(0x63C0, "blocked");
        card.openChannel();
        card.admin(0xE8, TestCard.AUTH).ok();
        card.send(command).sw(0x63C0, "REVOKED");
    }

    @Test
    void a_wrong_secret_ends_the_verified_state() {
        TestCard card = TestCard.active();
        card.verify(TestCard.AUTH).ok();
        card.verify(TestCard.AUTH, WRONG_PIN).sw(0x63C2);
        card.sign(TestCard.AUTH, 0, new byte[1]).sw(0x6982);
    }

    /** Section 9, 7, re-SELECT as the design has it. */
    @Test
    void verified_state_survives_select_ef_empty_verify_and_signatures_but_no_select_by_name() {
        TestCard card = TestCard.active();
        card.verify(TestCard.SIGN).ok();
        card.selectEf(0x1B).ok();
        card.send("00200080").sw(0x63C5);
        card.selectEf(0x1A).ok();
        for (int i = 0; i < 3; i++) {
            card.send("802A0080", new byte[32], 0).ok();
        }
        card.read(0x01, 0, 0).ok();
        card.send("00A4040C", Hex.bytes("A000000000"), -1).sw(0x6A82);
        card.send("802A009A", new byte[32], 0).ok();
        card.select();
        card.sign(TestCard.SIGN, 0, new byte[32]).sw(0x6982);
        card.verify(TestCard.SIGN).ok();
        card.runtime.reset();
        card.select();
        card.sign(TestCard.SIGN, 0, new byte[32]).sw(0x6982);
    }

    /** Section 4: OpenSC and jpki-cli send things twice. */
    @Test
    void doubled_commands_do_no_harm() {
        TestCard card = TestCard.active();
        for (int i = 0; i < 2; i++) {
            card.select();
        }
        for (int i = 0; i < 2; i++) {
            card.verify(TestCard.AUTH).ok();
        }
        byte[] first = card.sign(TestCard.AUTH, 0, new byte[35]).ok().data();
        assertArrayEquals(first, card.sign(TestCard.AUTH, 0, new byte[35]).ok().data());
    }

    /** The buffer is every application's: what a user typed is gone from it when the answer leaves. */
    @ParameterizedTest
    @ValueSource(strings = {"00200098", "0420009B", "00240198", "04240098", "00240098"})
    void no_secret_stays_in_the_apdu_buffer(String header) {
        TestCard card = TestCard.active();
        byte[] typed = header.startsWith("002400") || header.startsWith("042400") ? Hex.ascii("55556666") : Hex.ascii("5555");
        if (header.startsWith("04")) {
            card.openChannel(0x01);
            card.secure(header, typed);
        } else {
            card.send(header, typed, -1);
        }
        assertFalse(Hex.of(card.runtime.apduBuffer()).contains("3535"), header);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 8, 15, 16})
    void a_secret_of_any_length_up_to_16_is_compared_and_costs_a_try(int length) {
        TestCard card = TestCard.active();
        card.verify(TestCard.AUTH, new byte[length]).sw(0x63C2);
        card.verify(TestCard.SIGN, new byte[length]).sw(0x63C4);
    }

    @ParameterizedTest
    @CsvSource({"18, 17", "18, 255", "1B, 17"})
    void a_longer_one_is_6700_and_costs_nothing(String ef, int length) {
        TestCard card = TestCard.active();
        card.send("002000" + Integer.toHexString(0x80 | Integer.parseInt(ef, 16)), new byte[length], -1).sw(0x6700);
        assertEquals(3, card.triesLeft(TestCard.AUTH));
        assertEquals(5, card.triesLeft(TestCard.SIGN));
    }

    @ParameterizedTest
    @CsvSource({"00200100, 6A86", "00200000, 6A86", "00200018, 6A86", "002000C0, 6A86", "002000A0, 6A86",
        "00200080, 6A88", "00200081, 6A88", "00200097, 6A88", "0020009F, 6A88", "00240280, 6A86", "00240118, 6A86",
        "00240180, 6A88", "80200080, 6D00", "10200080, 6E00"})
    void references_that_are_none(String header, String sw) {
        TestCard.active().send(header, TestCard.PIN, -1).sw(Integer.parseInt(sw, 16));
    }

    @Test
    void a_password_does_not_open_with_its_beginning_or_its_case() {
        TestCard card = TestCard.active();
        card.verify(TestCard.SIGN, Hex.ascii("ABC12")).sw(0x63C4);
        card.verify(TestCard.SIGN, Hex.ascii("abc123")).sw(0x63C3);
        card.verify(TestCard.SIGN, Hex.ascii("ABC123 ")).sw(0x63C2);
        card.verify(TestCard.SIGN).ok();
    }

    // CHANGE REFERENCE DATA.

    /** Section 9, 9. */
    @ParameterizedTest
    @CsvSource({"1, 0000", "2, ZZZZZ9"})
    void change_after_verify_takes_the_new_secret_alone_and_leaves_nothing_verified(int key, String fresh) {
        TestCard card = TestCard.active();
        String header = String.format("002401%02X", 0x80 | TestCard.pinEf(key));
        card.send(header, Hex.ascii(fresh), -1).sw(0x6982);
        card.verify(TestCard.AUTH).ok();
        card.verify(TestCard.SIGN).ok();
        card.send(header, Hex.ascii(fresh), -1).ok();
        card.sign(TestCard.AUTH, 0, new byte[1]).sw(0x6982);
        card.sign(TestCard.SIGN, 0, new byte[1]).sw(0x6982);
        card.verify(key).sw(key == TestCard.AUTH ? 0x63C2 : 0x63C4);
        card.verify(key, Hex.ascii(fresh)).ok();
    }

    @ParameterizedTest
    @CsvSource({"1, 0000", "2, NEW456NEW456NEW4"})
    void change_with_the_old_secret_compares_it_first(int key, String fresh) {
        TestCard card = TestCard.active();
        int full = card.triesLeft(key);
        card.change(key, wrong(key), Hex.ascii(fresh)).sw(0x63C0 | full - 1);
        card.change(key, TestCard.secret(key), Hex.ascii(fresh)).ok();
        assertEquals(full, card.triesLeft(key));
        card.verify(key, Hex.ascii(fresh)).ok();
        card.change(key, Hex.ascii(fresh), TestCard.secret(key)).ok();
        card.verify(key).ok();
    }

    @Test
    void an_old_secret_that_is_all_padding_is_compared_too() {
        TestCard card = TestCard.active();
        card.change(TestCard.SIGN, new byte[0], Hex.ascii("NEW456")).sw(0x63C4);
    }

    @ParameterizedTest
    @ValueSource(strings = {"123", "12345", "12 4", "12A4", "12\uFF14", "000/", "000:", "123456"})
    void a_new_pin_must_be_four_digits_and_its_form_is_checked_before_a_try(String fresh) {
        TestCard card = TestCard.active();
        byte[] bytes = new byte[fresh.length()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) fresh.charAt(i);
        }
        card.send("00240098", Hex.join(WRONG_PIN, bytes), -1).sw(0x6A80);
        card.send("00240198", bytes, -1).sw(0x6A80);
        assertEquals(3, card.triesLeft(TestCard.AUTH));
        card.verify(TestCard.AUTH).ok();
    }

    @ParameterizedTest
    @ValueSource(strings = {"AB123", "ABCDEF", "123456", "abc123", "ABC 12", "ABC12-", "ABC123\uFF00", "ABCDE@1", "ABCDE[1",
        "ABCDEFGHIJKLMNO", "1234567890123456"})
    void a_new_password_must_be_6_to_16_of_both_kinds(String fresh) {
        TestCard card = TestCard.active();
        byte[] bytes = new byte[fresh.length()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) fresh.charAt(i);
        }
        card.change(TestCard.SIGN, WRONG_PASSWORD, bytes).sw(0x6A80);
        assertEquals(5, card.triesLeft(TestCard.SIGN));
    }

    @ParameterizedTest
    @CsvSource({"00240098, 0", "00240098, 4", "00240098, 21", "00240198, 0", "00240198, 17", "0024009B, 16",
        "0024009B, 33", "0024009B, 255"})
    void a_change_of_impossible_length_is_6700(String header, int length) {
        TestCard.active().send(header, new byte[length], -1).sw(0x6700);
    }

    // Temporary secrets.

    @Test
    void a_temporary_secret_serves_one_change_on_the_same_selection() {
        TestCard card = certifiedWithTemporaryPin();
        card.verify(TestCard.AUTH, TEMPORARY_PIN).sw(0x6985);
        card.send("00240198", TestCard.PIN, -1).sw(0x6985);
        card.change(TestCard.AUTH, TEMPORARY_PIN, Hex.ascii("12x4")).sw(0x6A80, "the form comes first");
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).ok();
        assertEquals(JpkiKey.ACTIVE, card.state(TestCard.AUTH));
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x63C2, "now it is just a wrong PIN");
    }

    @Test
    void a_wrong_value_uses_the_temporary_secret_up() {
        TestCard card = certifiedWithTemporaryPin();
        card.change(TestCard.AUTH, WRONG_PIN, TestCard.PIN).sw(0x63C0);
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985);
        assertEquals(3, card.triesLeft(TestCard.AUTH));
        card.admin(0x2C, TestCard.AUTH, TestCard.secretBlock(TEMPORARY_PIN)).ok();
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).ok();
    }

    @Test
    void a_temporary_secret_dies_with_its_channel_and_its_selection() {
        TestCard card = certifiedWithTemporaryPin();
        card.openChannel();
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985, "after INITIALIZE UPDATE");

        card = certifiedWithTemporaryPin();
        card.send("8482330010" + "00".repeat(16)).ok();
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985, "after EXTERNAL AUTHENTICATE");

        card = certifiedWithTemporaryPin();
        card.send("84460100" + "08" + "00".repeat(8)).sw(0x6982);
        card.channel.setLevel(TestCard.LEVEL_33);
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985, "after a wrong MAC");

        card = certifiedWithTemporaryPin();
        card.channel.failNextWrap();
        card.send("84CADF30", card.protect(new byte[0]), 0).sw(0x6985);
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985, "after a failed wrap");

        card = certifiedWithTemporaryPin();
        card.channel.setLevel(0x83);
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985, "when the session is no longer fit");
        card.channel.setLevel(TestCard.LEVEL_33);
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985, "and it does not come back");

        card = certifiedWithTemporaryPin();
        card.select();
        card.channel.setLevel(TestCard.LEVEL_33);
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).sw(0x6985, "after selecting again");
    }

    @Test
    void a_reset_unblocks_and_takes_the_users_secret_away() {
        TestCard card = TestCard.active();
        for (int i = 0; i < 5; i++) {
            card.verify(TestCard.SIGN, WRONG_PASSWORD);
        }
        card.verify(TestCard.SIGN).sw(0x6984);
        card.openChannel();
        card.admin(0x2C, TestCard.SIGN, TestCard.secretBlock(Hex.ascii("TEMP0000"))).ok();
        assertEquals(JpkiKey.CERTIFIED, card.state(TestCard.SIGN));
        assertEquals(5, card.triesLeft(TestCard.SIGN));
        card.verify(TestCard.SIGN).sw(0x6985);
        card.verify(TestCard.SIGN, new byte[16]).sw(0x6985);
        card.sign(TestCard.SIGN, 0, new byte[1]).sw(0x6985);
        card.change(TestCard.SIGN, Hex.ascii("TEMP0000"), Hex.ascii("MINE12345")).ok();
        card.verify(TestCard.SIGN, Hex.ascii("MINE12345")).ok();
    }

    @Test
    void a_reset_of_a_verified_secret_ends_its_verified_state() {
        TestCard card = TestCard.active();
        card.openChannel();
        card.verify(TestCard.AUTH).ok();
        card.admin(0x2C, TestCard.AUTH, TestCard.secretBlock(TEMPORARY_PIN)).ok();
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).ok();
        card.sign(TestCard.AUTH, 0, new byte[1]).sw(0x6982);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "123", "12345", "ABCD", "12345678901234567890123"})
    void a_temporary_pin_of_wrong_form_is_6a80_and_changes_nothing(String secret) {
        TestCard card = TestCard.active();
        card.openChannel();
        card.admin(0x2C, TestCard.AUTH, TestCard.secretBlock(Hex.ascii(secret))).sw(0x6A80);
        assertEquals(JpkiKey.ACTIVE, card.state(TestCard.AUTH));
        card.verify(TestCard.AUTH).ok();
    }

    @Test
    void secrets_do_not_stay_in_memory() throws Exception {
        TestCard card = certifiedWithTemporaryPin();
        Ram ram = (Ram) Inside.field(card, "ram");
        String buffer = Hex.of(card.runtime.getCurrentAPDU().getBuffer());
        assertFalse(buffer.contains(Hex.of(TEMPORARY_PIN)), "the deciphered block");
        card.change(TestCard.AUTH, TEMPORARY_PIN, TestCard.PIN).ok();
        assertArrayEquals(new byte[256], ram.scratch);
        assertArrayEquals(new byte[34], ram.temporary);
        card.verify(TestCard.AUTH, WRONG_PIN).sw(0x63C2);
        assertArrayEquals(new byte[256], ram.scratch);
    }
}
