package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The design's tables: what each state allows, and where each admin command leads. */
class StateTableTest {
    private static final Map<String, Integer> STATES = Map.of("EMPTY", 0, "KEYED", 1, "CERTIFIED", 2, "ACTIVE", 3,
            "HELD", 4, "REVOKED", 5);

    private static int sw(String hex) {
        return Integer.parseInt(hex, 16);
    }

    /** Columns: VERIFY, CHANGE after VERIFY, CHANGE with old, signing, own certificate; nothing verified before. */
    @ParameterizedTest
    @CsvSource({
        "EMPTY,     6985, 6985, 6985, 6985, 6A82",
        "KEYED,     6985, 6985, 6985, 6985, 6A82",
        "CERTIFIED, 6985, 6985, 6985, 6985, 6982",
        "ACTIVE,    9000, 6982, 9000, 6982, 6982",
        "HELD,      9000, 6982, 9000, 6985, 6982",
        "REVOKED,   6985, 6985, 6985, 6985, 6985"})
    void what_the_user_may_do(String state, String verify, String changeAfter, String changeOld, String sign, String read) {
        for (int key : new int[] {TestCard.AUTH, TestCard.SIGN}) {
            TestCard card = TestCard.installed().bring(key, STATES.get(state));
            int tries = card.triesLeft(key);
            card.read(TestCard.certificateEf(key), 0, 4).sw(sw(read), "own certificate");
            card.sign(key, 0, new byte[1]).sw(sw(sign), "signing");
            card.send(String.format("002401%02X", 0x80 | TestCard.pinEf(key)), TestCard.secret(key), -1)
                    .sw(sw(changeAfter), "change after VERIFY");
            card.change(key, TestCard.secret(key), TestCard.secret(key)).sw(sw(changeOld), "change with old");
            card.verify(key).sw(sw(verify), "VERIFY");
            assertEquals(tries, card.triesLeft(key), "no try was spent");
            if (verify.equals("9000")) {
                card.read(TestCard.certificateEf(key), 0, 4).ok();
                card.sign(key, 0, new byte[1]).sw(state.equals("ACTIVE") ? 0x9000 : 0x6985);
                card.verify(key, new byte[4]).sw(0x63C0 | tries - 1, "a wrong one costs a try");
            }
        }
    }

    /** A free authentication certificate is readable as soon as it is there, and never after revocation. */
    @ParameterizedTest
    @CsvSource({"EMPTY, 6A82", "KEYED, 6A82", "CERTIFIED, 9000", "ACTIVE, 9000", "HELD, 9000", "REVOKED, 6985"})
    void a_free_authentication_certificate(String state, String read) {
        TestCard.installed("820101").bring(TestCard.AUTH, STATES.get(state)).read(0x0A, 0, 4).sw(sw(read));
    }

    /** Columns: state after the command, or the refusal. */
    @ParameterizedTest
    @CsvSource({
        // from        generate   proof      reset      hold  release   revoke   delete
        "EMPTY,     46=KEYED, 2B=6985,  2C=6985,      04=6985, 44=6985,   E8=6985,    E4=EMPTY",
        "KEYED,     46=6985,  2B=KEYED, 2C=6985,      04=6985, 44=6985,   E8=REVOKED, E4=EMPTY",
        "CERTIFIED, 46=6985,  2B=6985,  2C=CERTIFIED, 04=6985, 44=6985,   E8=REVOKED, E4=EMPTY",
        "ACTIVE,    46=6985,  2B=6985,  2C=CERTIFIED, 04=HELD, 44=6985,   E8=REVOKED, E4=EMPTY",
        "HELD,      46=6985,  2B=6985,  2C=6985,      04=6985, 44=ACTIVE, E8=REVOKED, E4=EMPTY",
        "REVOKED,   46=6985,  2B=6985,  2C=6985,      04=6985, 44=6985,   E8=REVOKED, E4=EMPTY"})
    void where_each_admin_command_leads(String from, String generate, String proof, String reset, String hold,
            String release, String revoke, String delete) {
        for (String edge : new String[] {generate, proof, reset, hold, release, revoke, delete}) {
            String[] parts = edge.split("=");
            int ins = Integer.parseInt(parts[0], 16);
            int key = ins % 3 == 0 ? TestCard.AUTH : TestCard.SIGN;
            TestCard card = TestCard.installed().bring(key, STATES.get(from));
            card.openChannel();
            byte[] data = switch (ins) {
                case 0x2B -> new byte[32];
                case 0x2C -> TestCard.secretBlock(key == TestCard.AUTH ? Hex.ascii("0000") : Hex.ascii("TEMP0000"));
                default -> new byte[0];
            };
            boolean allowed = STATES.containsKey(parts[1]);
            card.admin(ins, key, data).sw(allowed ? 0x9000 : sw(parts[1]), from + " " + edge);
            assertEquals(allowed ? STATES.get(parts[1]) : STATES.get(from), card.state(key), from + " " + edge);
            assertEquals(JpkiKey.EMPTY, card.state(3 - key), "the other key is untouched");
        }
    }

    /** Columns: own certificate, CA certificate, token information, temporary secret. */
    @ParameterizedTest
    @CsvSource({
        "EMPTY,     6985, 9000, 9000, 6985",
        "KEYED,     9000, 9000, 9000, 6985",
        "CERTIFIED, 6985, 6985, 9000, 9000",
        "ACTIVE,    6985, 6985, 9000, 9000",
        "HELD,      6985, 6985, 9000, 6985",
        "REVOKED,   6985, 6985, 9000, 6985"})
    void what_may_be_stored(String state, String own, String ca, String token, String temporary) {
        for (int key : new int[] {TestCard.AUTH, TestCard.SIGN}) {
            TestCard card = TestCard.installed().bring(key, STATES.get(state)).openChannel();
            card.storeData(TestCard.dgi(TestCard.caEf(key), new byte[300])).sw(sw(ca), "CA certificate");
            card.storeData(TestCard.dgi(0x0006, new byte[160])).sw(sw(token), "token information");
            byte[] block = TestCard.secretBlock(key == TestCard.AUTH ? Hex.ascii("0000") : Hex.ascii("TEMP0000"));
            card.storeData(TestCard.dgi(0x8200 | key, block)).sw(sw(temporary), "temporary secret");
            byte[] modulus = state.equals("EMPTY") ? new byte[256] : card.modulus(key);
            card.storeData(TestCard.dgi(TestCard.certificateEf(key), TestCertificate.of(modulus)))
                    .sw(sw(own), "own certificate");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "46, 00, 00, 0, 6A86", "46, 03, 00, 0, 6A86", "46, FF, 00, 0, 6A86", "46, 01, 01, 0, 6A86", "46, 01, 00, 1, 6700",
        "2B, 00, 00, 32, 6A86", "2B, 01, 80, 32, 6A86", "2B, 01, 00, 31, 6700", "2B, 01, 00, 33, 6700", "2B, 01, 00, 0, 6700",
        "2C, FF, 00, 32, 6A86", "2C, 01, 01, 32, 6A86", "2C, 01, 00, 31, 6700", "2C, 01, 00, 33, 6700", "2C, 01, 00, 0, 6700",
        "04, FF, 00, 0, 6A86", "04, 01, 01, 0, 6A86", "04, 01, 00, 1, 6700", "44, FF, 00, 0, 6A86", "44, 01, 00, 1, 6700",
        "E8, FF, 00, 0, 6A86", "E8, 01, 00, 1, 6700", "E4, 03, 00, 0, 6A86", "E4, FF, 01, 0, 6A86", "E4, FF, 00, 1, 6700"})
    void parameters_and_lengths_are_checked_before_the_state(String ins, String p1, String p2, int length, String sw) {
        TestCard.installed().openChannel().secure("84" + ins + p1 + p2, new byte[length]).sw(sw(sw));
    }

    @Test
    void a_revoked_key_has_no_private_part_any_more() throws Exception {
        TestCard card = TestCard.installed().bring(TestCard.SIGN, JpkiKey.REVOKED);
        assertEquals(false, Inside.key(card, TestCard.SIGN).privateKey().isInitialized());
    }

    @Test
    void a_released_key_signs_again_after_verify() {
        TestCard card = TestCard.installed().bring(TestCard.SIGN, JpkiKey.HELD);
        card.verify(TestCard.SIGN).ok();
        card.change(TestCard.SIGN, TestCard.PASSWORD, Hex.ascii("HELD1234")).ok();
        assertEquals(JpkiKey.HELD, card.state(TestCard.SIGN), "a change does not release");
        card.admin(0x44, TestCard.SIGN).ok();
        card.verify(TestCard.SIGN, Hex.ascii("HELD1234")).ok();
        card.sign(TestCard.SIGN, 2, new byte[32]).ok();
    }
}
