package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** COMPUTE DIGITAL SIGNATURE and GET CHALLENGE, verified by the Java platform; numbers are sections of the reference. */
class SignerTest {
    private static final byte[] SHA256_INFO = Hex.bytes("3031300D060960864801650304020105000420");

    private static TestCard card;
    private static final PublicKey[] KEYS = new PublicKey[3];

    @BeforeAll
    static void issue() {
        card = TestCard.installed();
        for (int key : new int[] {TestCard.AUTH, TestCard.SIGN}) {
            card.bring(key, JpkiKey.ACTIVE);
            KEYS[key] = TestCard.publicKey(card.modulus(key));
        }
    }

    @BeforeEach
    void verifyBoth() {
        card.select();
        card.verify(TestCard.AUTH).ok();
        card.verify(TestCard.SIGN).ok();
    }

    private static byte[] sha256(byte[] message) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(message);
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] message(int length) {
        byte[] message = new byte[length];
        for (int i = 0; i < length; i++) {
            message[i] = (byte) (i * 31 + length);
        }
        return message;
    }

    /** What the public key makes of a signature: the padded block. */
    private static byte[] open(int key, byte[] signature) {
        RSAPublicKey rsa = (RSAPublicKey) KEYS[key];
        byte[] number = new BigInteger(1, signature).modPow(rsa.getPublicExponent(), rsa.getModulus()).toByteArray();
        byte[] block = new byte[256];
        System.arraycopy(number, Math.max(0, number.length - 256), block, 256 - Math.min(256, number.length),
                Math.min(256, number.length));
        return block;
    }

    private static byte[] padded(byte[] data) {
        byte[] block = new byte[256];
        Arrays.fill(block, (byte) 0xFF);
        block[0] = 0;
        block[1] = 1;
        block[255 - data.length] = 0;
        System.arraycopy(data, 0, block, 256 - data.length, data.length);
        return block;
    }

    private static boolean verifies(String algorithm, int key, byte[] message, byte[] signature) throws Exception {
        Signature verifier = Signature.getInstance(algorithm);
        if (algorithm.equals("RSASSA-PSS")) {
            verifier.setParameter(new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
        }
        verifier.initVerify(KEYS[key]);
        verifier.update(message);
        return verifier.verify(signature);
    }

    /** Section 9, 8: 1 to 245 bytes, whatever they are. */
    @Test
    void scheme_00_pads_any_1_to_245_bytes() {
        for (int length = 1; length <= 245; length++) {
            int key = length % 2 + 1;
            byte[] signature = card.sign(key, 0, message(length)).ok().data();
            assertArrayEquals(padded(message(length)), open(key, signature), "length " + length);
        }
        card.sign(TestCard.AUTH, 0, message(246)).sw(0x6700);
        card.sign(TestCard.AUTH, 0, message(255)).sw(0x6700);
        card.sign(TestCard.AUTH, 0, new byte[0]).sw(0x6700);
    }

    /** Section 4: the DigestInfos seen on the wire. */
    @ParameterizedTest
    @CsvSource({
        "SHA1withRSA, SHA-1, 3021300906052B0E03021A05000414",
        "SHA256withRSA, SHA-256, 3031300D060960864801650304020105000420",
        "SHA384withRSA, SHA-384, 3041300D060960864801650304020205000430",
        "SHA512withRSA, SHA-512, 3051300D060960864801650304020305000440",
        "MD5withRSA, MD5, 3020300C06082A864886F70D020505000410"})
    void scheme_00_signs_what_clients_send(String algorithm, String digest, String prefix) throws Exception {
        byte[] hash = MessageDigest.getInstance(digest).digest(message(1000));
        byte[] signature = card.sign(TestCard.SIGN, 0, Hex.join(Hex.bytes(prefix), hash)).ok().data();
        assertTrue(verifies(algorithm, TestCard.SIGN, message(1000), signature));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 55, 56, 64, 245, 246, 255})
    void the_hashing_schemes_take_messages_of_1_to_255_bytes(int length) throws Exception {
        byte[] message = message(length);
        assertArrayEquals(padded(sha256(message)), open(TestCard.AUTH, card.sign(TestCard.AUTH, 1, message).ok().data()));
        assertTrue(verifies("SHA256withRSA", TestCard.AUTH, message, card.sign(TestCard.AUTH, 3, message).ok().data()));
        assertTrue(verifies("RSASSA-PSS", TestCard.SIGN, message, card.sign(TestCard.SIGN, 5, message).ok().data()));
    }

    @Test
    void the_schemes_that_take_a_hash_want_32_bytes() throws Exception {
        byte[] hash = sha256(message(500));
        assertTrue(verifies("SHA256withRSA", TestCard.SIGN, message(500), card.sign(TestCard.SIGN, 2, hash).ok().data()));
        assertTrue(verifies("RSASSA-PSS", TestCard.SIGN, message(500), card.sign(TestCard.SIGN, 4, hash).ok().data()));
        for (int scheme : new int[] {2, 4}) {
            for (int length : new int[] {1, 20, 31, 33, 48, 64, 255}) {
                card.sign(TestCard.SIGN, scheme, message(length)).sw(0x6985);
            }
            card.sign(TestCard.SIGN, scheme, new byte[0]).sw(0x6700);
        }
    }

    @Test
    void pss_salts_each_signature_anew_and_verifies_every_time() throws Exception {
        byte[] first = card.sign(TestCard.AUTH, 5, message(10)).ok().data();
        for (int i = 0; i < 20; i++) {
            byte[] next = card.sign(TestCard.AUTH, 5, message(10)).ok().data();
            assertFalse(Arrays.equals(first, next));
            assertTrue(verifies("RSASSA-PSS", TestCard.AUTH, message(10), next));
        }
    }

    @Test
    void the_key_comes_from_the_current_ef_or_from_p2() {
        byte[] auth = card.sign(TestCard.AUTH, 0, message(35)).ok().data();
        byte[] sign = card.sign(TestCard.SIGN, 0, message(35)).ok().data();
        card.selectEf(0x17).ok();
        assertArrayEquals(auth, card.send("802A0080", message(35), 0).ok().data());
        assertArrayEquals(sign, card.send("802A009A", message(35), 0).ok().data(), "P2 beats the current EF");
        assertArrayEquals(auth, card.send("802A0080", message(35), 0).ok().data(), "and does not change it");
        card.selectEf(0x1A).ok();
        assertArrayEquals(sign, card.send("802A0080", message(35), 0).ok().data());
    }

    @ParameterizedTest
    @CsvSource({"0098, 6A88", "0081, 6A88", "0080, 6A88", "0000, 6A86", "0097, 9000", "00B7, 6A86", "0697, 6A86",
        "7F97, 6A86", "8097, 6A86", "9E9A, 6A86", "FF97, 6A86"})
    void p1_and_p2_edges(String p1p2, String sw) {
        card.send("802A" + p1p2, message(1), 0).sw(Integer.parseInt(sw, 16));
    }

    /** Section 9, 4: one response of 256 bytes. */
    @Test
    void a_wrong_le_is_6c00_before_anything_is_signed() throws Exception {
        JpkiKey key = Inside.key(card, TestCard.AUTH);
        byte[] before = new byte[8];
        key.counters(before, (short) 0);
        for (int le : new int[] {1, 0x80, 0xFF}) {
            for (int scheme = 0; scheme <= 5; scheme++) {
                card.send(String.format("802A%02X97", scheme), message(32), le).sw(0x6C00);
            }
        }
        byte[] after = new byte[8];
        key.counters(after, (short) 0);
        assertArrayEquals(before, after);
        assertEquals(256, card.send("802A0097", message(32), 0).ok().data().length);
        assertEquals(256, card.send("802A0097", message(32), -1).ok().data().length, "without Le, as T=0 sends it");
    }

    // Messages longer than one APDU.

    private Answer chain(int p1, int p2, byte[] part) {
        return card.send(String.format("902A%02X%02X", p1, p2), part, -1);
    }

    @ParameterizedTest
    @CsvSource({"1, 300", "3, 255", "3, 1000", "3, 256", "5, 700", "5, 510"})
    void a_chained_message_is_hashed_whole(int scheme, int length) throws Exception {
        byte[] message = message(length);
        int end = length - 1 - (length - 1) % 255;
        for (int at = 0; at < end; at += 255) {
            chain(scheme, 0x97, Arrays.copyOfRange(message, at, at + 255)).is("");
        }
        byte[] signature = card.sign(TestCard.AUTH, scheme, Arrays.copyOfRange(message, end, length)).ok().data();
        if (scheme == 1) {
            assertArrayEquals(padded(sha256(message)), open(TestCard.AUTH, signature));
        } else {
            assertTrue(verifies(scheme == 3 ? "SHA256withRSA" : "RSASSA-PSS", TestCard.AUTH, message, signature));
        }
    }

    @Test
    void a_chain_may_end_without_more_data_but_not_start_so() throws Exception {
        chain(3, 0x97, message(20)).ok();
        assertTrue(verifies("SHA256withRSA", TestCard.AUTH, message(20),
                card.sign(TestCard.AUTH, 3, new byte[0]).ok().data()));
        card.sign(TestCard.AUTH, 3, new byte[0]).sw(0x6700);
        chain(3, 0x97, new byte[0]).sw(0x6700);
    }

    @ParameterizedTest
    @ValueSource(strings = {"80CADF3100", "00200098", "00A4020C020017", "802A059700", "902A059701AA", "802A00970100",
        "802A03970100FF", "00FF0000"})
    void any_other_command_ends_the_chain(String other) throws Exception {
        chain(3, 0x97, message(100)).ok();
        card.send(other);
        byte[] signature = card.sign(TestCard.AUTH, 3, message(5)).ok().data();
        assertTrue(verifies("SHA256withRSA", TestCard.AUTH, message(5), signature), "the old part is gone");
    }

    @Test
    void a_chain_stays_with_its_key_and_its_verified_state() throws Exception {
        chain(3, 0x97, message(100)).ok();
        assertTrue(verifies("SHA256withRSA", TestCard.SIGN, message(5), card.sign(TestCard.SIGN, 3, message(5)).ok().data()));
        card.select();
        chain(3, 0x97, message(100)).sw(0x6982);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2, 4})
    void schemes_that_take_a_hash_do_not_chain(int scheme) {
        chain(scheme, 0x97, message(32)).sw(0x6884);
    }

    // Policy.

    @Test
    void the_policy_for_digestinfos_admits_nothing_else() {
        TestCard strict = TestCard.installed("820104");
        strict.bring(TestCard.AUTH, JpkiKey.ACTIVE);
        strict.verify(TestCard.AUTH).ok();
        byte[] hash = message(32);
        byte[] info = Hex.join(SHA256_INFO, hash);
        strict.sign(TestCard.AUTH, 0, info).ok();
        strict.sign(TestCard.AUTH, 0, Hex.join(Hex.bytes("302F300B0609608648016503040201" + "0420"), hash)).ok();
        strict.sign(TestCard.AUTH, 0, Hex.join(Hex.bytes("3021300906052B0E03021A05000414"), message(20))).ok();
        strict.sign(TestCard.AUTH, 1, hash).sw(0x6985);
        strict.sign(TestCard.AUTH, 2, hash).ok();
        strict.sign(TestCard.AUTH, 3, hash).ok();
        strict.sign(TestCard.AUTH, 4, hash).ok();
        byte[][] wrong = {
            hash, message(1), Hex.join(info, new byte[1]), Arrays.copyOf(info, 50),
            Hex.bytes("3000"), Hex.bytes("30023000"), Hex.bytes("300430000400"), Hex.bytes("3006300206000400"),
            Hex.join(Hex.bytes("3131300D060960864801650304020105000420"), hash),
            Hex.join(Hex.bytes("3031310D060960864801650304020105000420"), hash),
            Hex.join(Hex.bytes("3031300D040960864801650304020105000420"), hash),
            Hex.join(Hex.bytes("3031300D060960864801650304020104000420"), hash),
            Hex.join(Hex.bytes("3031300D060960864801650304020105000320"), hash),
            Hex.join(Hex.bytes("3031300D0609608648016503040201050004 1F".replace(" ", "")), hash),
            Hex.join(Hex.bytes("3033300F0609608648016503040201050005000420"), hash)};
        for (int i = 0; i < wrong.length; i++) {
            // An empty identifier and an empty hash have the right shape; the policy asks no more than that.
            int expected = i == 7 ? 0x9000 : 0x6A80;
            strict.sign(TestCard.AUTH, 0, wrong[i]).sw(expected, "input " + i);
        }
    }

    // GET CHALLENGE.

    @Test
    void get_challenge_gives_as_many_random_bytes_as_asked() {
        for (int le : new int[] {1, 8, 0x0A, 0x10, 0x64, 0xFF, 0}) {
            byte[] first = card.send(String.format("00840000%02X", le)).ok().data();
            assertEquals(le == 0 ? 256 : le, first.length);
            if (first.length >= 8) {
                assertFalse(Arrays.equals(first, card.send(String.format("00840000%02X", le)).data()));
            }
        }
        card.send("00840000").sw(0x6700);
        card.send("0084010008").sw(0x6A86);
        card.send("0084000108").sw(0x6A86);
        card.send("8084000008").sw(0x6D00);
    }
}
