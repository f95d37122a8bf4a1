package jp.jpkise.jpki;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.security.MessageDigest;
import java.security.Signature;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** The issuance of a card as the SP-TSM and the user's app do it, and what the issuer reads meanwhile. */
class IssuanceTest {
    private static final byte[] HASH = Hex.bytes("11".repeat(32));

    @Test
    void a_card_is_issued_to_active_in_one_session_and_signs() throws Exception {
        TestCard card = TestCard.installed().openChannel(0x33);
        byte[] message = Hex.ascii("CertificationRequestInfo");
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(message);
        for (int key : new int[] {TestCard.AUTH, TestCard.SIGN}) {
            card.admin(0x46, key).ok();
            byte[] template = card.publicKeyTemplate(key);
            assertEquals(270, template.length);
            assertEquals("7F498201098182 0100".replace(" ", ""), Hex.of(Arrays.copyOf(template, 9)));
            assertEquals("8203010001", Hex.of(Arrays.copyOfRange(template, 265, 270)));
            card.admin(0x2B, key, hash).ok();
            byte[] proof = Hex.join(
                    card.secure("84CADF3E", new byte[] {(byte) key, 0}).ok().data(),
                    card.secure("84CADF3E", new byte[] {(byte) key, 1}).ok().data());
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initVerify(TestCard.publicKey(card.modulus(key)));
            signature.update(message);
            assertTrue(signature.verify(proof), "the proof verifies with the key that was read");
        }
        byte[] authCertificate = TestCertificate.ofSize(card.modulus(TestCard.AUTH), 1590);
        byte[] signCertificate = TestCertificate.ofSize(card.modulus(TestCard.SIGN), 1758);
        byte[] ca = TestCertificate.ofSize(new byte[256], 1330);
        byte[] token = new byte[160];
        Arrays.fill(token, (byte) ' ');
        System.arraycopy(Hex.ascii("JPKIAPGPSETOKEN"), 0, token, 0, 15);
        card.storeData(
                TestCard.dgi(0x0002, ca), TestCard.dgi(0x000B, ca), TestCard.dgi(0x0001, signCertificate),
                TestCard.dgi(0x000A, authCertificate), TestCard.dgi(0x0006, token),
                TestCard.dgi(0x8201, TestCard.secretBlock(Hex.ascii("0000"))),
                TestCard.dgi(0x8202, TestCard.secretBlock(Hex.ascii("TEMPORARY1")))).ok();
        assertEquals(JpkiKey.CERTIFIED, card.state(TestCard.AUTH));
        card.change(TestCard.AUTH, Hex.ascii("0000"), TestCard.PIN).ok();
        card.change(TestCard.SIGN, Hex.ascii("TEMPORARY1"), TestCard.PASSWORD).ok();
        assertEquals(JpkiKey.ACTIVE, card.state(TestCard.AUTH));
        assertEquals(JpkiKey.ACTIVE, card.state(TestCard.SIGN));

        card.select();
        card.verify(TestCard.AUTH).ok();
        card.verify(TestCard.SIGN).ok();
        assertArrayEquals(authCertificate, card.readWhole(0x0A));
        assertArrayEquals(signCertificate, card.readWhole(0x01));
        assertArrayEquals(ca, card.readWhole(0x02));
        assertArrayEquals(ca, card.readWhole(0x0B));
        assertArrayEquals(token, card.readWhole(0x06));
        assertArrayEquals(Hex.bytes("8F8F00"), card.readWhole(0x08));
        assertEquals(256, card.sign(TestCard.SIGN, 2, hash).ok().data().length);
    }

    @Test
    void two_cards_never_make_the_same_key() {
        assertFalse(Arrays.equals(
                TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED).modulus(TestCard.AUTH),
                TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED).modulus(TestCard.AUTH)));
    }

    @Test
    void the_first_proven_hash_is_kept_until_deletion() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED);
        card.admin(0x2B, TestCard.AUTH, HASH).ok();
        card.admin(0x2B, TestCard.AUTH, HASH).ok();
        byte[] other = Hex.bytes("22".repeat(32));
        card.admin(0x2B, TestCard.AUTH, other).sw(0x6985);
        card.admin(0xE4, TestCard.AUTH).ok();
        card.admin(0x46, TestCard.AUTH).ok();
        card.admin(0x2B, TestCard.AUTH, other).ok();
    }

    @Test
    void a_proof_is_lost_to_any_other_command() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED);
        byte[] page = {TestCard.AUTH, 0};
        String[] others = {"80CADF3000", "00A4020C020006", "00B08600 01", "0020009B", "80CA7F4900", "00FF0000"};
        for (String other : others) {
            card.admin(0x2B, TestCard.AUTH, HASH).ok();
            card.secure("84CADF3E", page).ok();
            card.send(other);
            card.secure("84CADF3E", page).sw(0x6985, "after " + other);
        }
    }

    @Test
    void a_proof_is_the_key_it_was_asked_of() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED).bring(TestCard.SIGN, JpkiKey.KEYED);
        card.admin(0x2B, TestCard.AUTH, HASH).ok();
        card.secure("84CADF3E", new byte[] {TestCard.SIGN, 0}).sw(0x6985);
        card.secure("84CADF3E", new byte[] {TestCard.AUTH, 0}).sw(0x6985, "the refusal was an error, so the proof is gone");
    }

    @Test
    void pages_end_with_6b00_and_unknown_keys_are_6a80() {
        TestCard card = TestCard.installed().bring(TestCard.AUTH, JpkiKey.KEYED);
        assertEquals(224, card.secure("84CA7F49", Hex.bytes("0100")).ok().data().length);
        assertEquals(46, card.secure("84CA7F49", Hex.bytes("0101")).ok().data().length);
        card.secure("84CA7F49", Hex.bytes("0102")).sw(0x6B00);
        card.secure("84CA7F49", Hex.bytes("01FF")).sw(0x6B00);
        card.secure("84CA7F49", Hex.bytes("0300")).sw(0x6A80);
        card.secure("84CA7F49", Hex.bytes("0000")).sw(0x6A80);
        card.secure("84CA7F49", Hex.bytes("01")).sw(0x6700);
        card.secure("84CA7F49", Hex.bytes("010000")).sw(0x6700);
        card.secure("84CA7F49", Hex.bytes("0200")).sw(0x6985, "an EMPTY key");
        card.secure("84CADF3E", Hex.bytes("0000")).sw(0x6A80, "no key, while no proof waits");
        card.secure("84CADF3E", Hex.bytes("0300")).sw(0x6A80);
        card.secure("84CADF3E", Hex.bytes("0100")).sw(0x6985, "no proof waits");
        card.admin(0x2B, TestCard.AUTH, HASH).ok();
        assertEquals(224, card.secure("84CADF3E", Hex.bytes("0100")).ok().data().length);
        assertEquals(32, card.secure("84CADF3E", Hex.bytes("0101")).ok().data().length);
        card.secure("84CADF3E", Hex.bytes("0102")).sw(0x6B00);
    }

    @Test
    void the_attestation_tells_nonce_states_keys_and_counters() throws Exception {
        TestCard card = TestCard.installed().openChannel();
        String nonce = "00112233445566778899AABBCCDDEEFF";
        String nothing = "00" + "00".repeat(32) + "0000" + "00000000" + "0000";
        card.secure("84CADF32", Hex.bytes(nonce)).is(nonce + nothing + nothing + "FFFF");
        card.bring(TestCard.AUTH, JpkiKey.ACTIVE);
        card.verify(TestCard.AUTH).ok();
        card.sign(TestCard.AUTH, 0, new byte[1]).ok();
        card.sign(TestCard.AUTH, 3, new byte[1]).ok();
        String hash = Hex.of(MessageDigest.getInstance("SHA-256").digest(card.modulus(TestCard.AUTH)));
        card.secure("84CADF32", Hex.bytes(nonce))
                .is(nonce + "03" + hash + "0001" + "00000002" + "0001" + nothing + "FFFF");
        card.admin(0xE4, 0xFF).ok();
        card.secure("84CADF32", Hex.bytes(nonce)).is(nonce + "00" + "00".repeat(32) + "0001" + "00000002" + "0001"
                + nothing + "FFFF");
        card.secure("84CADF32", new byte[15]).sw(0x6700);
        card.secure("84CADF32", new byte[17]).sw(0x6700);
        card.secure("84CADF33").sw(0x6A88);
    }

    @Test
    void a_signature_is_counted_also_past_16_bits() throws Exception {
        TestCard card = TestCard.active();
        JpkiKey key = Inside.key(card, TestCard.AUTH);
        Inside.set(key, "signaturesLow", (short) 0xFFFF);
        card.verify(TestCard.AUTH).ok();
        card.sign(TestCard.AUTH, 0, new byte[1]).ok();
        byte[] counters = new byte[8];
        key.counters(counters, (short) 0);
        assertEquals("0001" + "00010000" + "0001", Hex.of(counters));
    }

    @Test
    void version_and_status_are_for_everybody_and_tell_nothing_personal() {
        TestCard card = TestCard.installed();
        card.send("80CADF3000").is("0001 0003 0105");
        card.send("80CADF3100").is("0003 0005 00000000");
        card.openChannel(0x13);
        card.secure("84CADF30").is("0001 0003 0105");
        card.send("00CADF3005").sw(0x6D00);
        card.send("00CB3FFF035C017E08").sw(0x6D00);
        card.send("80CA000000").sw(0x6A88);
        card.send("80CADF3300").sw(0x6982, "the lease is the service provider's, also while there is none");
    }

    @Test
    void a_wiped_card_can_be_issued_again() {
        TestCard card = TestCard.active();
        card.openChannel();
        card.admin(0xE4, 0xFF).ok();
        assertEquals("0003000500000000", Hex.of(card.send("80CADF3100").ok().data()));
        for (int ef : new int[] {0x01, 0x02, 0x0A, 0x0B}) {
            card.read(ef, 0, 0).sw(0x6A82);
        }
        assertArrayEquals(Hex.bytes("000000"), card.readWhole(0x08));
        assertEquals("JPKIAPGPSETOKEN", new String(card.readWhole(0x06)).trim());
        card.bring(TestCard.AUTH, JpkiKey.ACTIVE);
        card.verify(TestCard.AUTH).ok();
        card.sign(TestCard.AUTH, 0, new byte[1]).ok();
    }

    @Test
    void deleting_one_key_leaves_the_other_and_the_ca_certificates() {
        TestCard card = TestCard.installed().openChannel();
        byte[] ca = TestCertificate.of(new byte[256]);
        card.storeData(TestCard.dgi(0x0002, ca), TestCard.dgi(0x000B, ca)).ok();
        card.bring(TestCard.AUTH, JpkiKey.ACTIVE).bring(TestCard.SIGN, JpkiKey.ACTIVE);
        card.admin(0xE4, TestCard.SIGN).ok();
        assertEquals(JpkiKey.EMPTY, card.state(TestCard.SIGN));
        assertEquals(JpkiKey.ACTIVE, card.state(TestCard.AUTH));
        assertArrayEquals(ca, card.readWhole(0x02));
        card.admin(0xE4, TestCard.SIGN).ok();
        card.verify(TestCard.AUTH).ok();
        card.sign(TestCard.AUTH, 0, new byte[1]).ok();
    }

    @Test
    void a_torn_wipe_is_finished_at_the_next_selection() throws Exception {
        TestCard card = TestCard.active();
        Inside.set(Inside.field(card, "issuance"), "wiping", (byte) 0x02);
        card.select();
        assertEquals(JpkiKey.EMPTY, card.state(TestCard.SIGN));
        assertEquals(JpkiKey.ACTIVE, card.state(TestCard.AUTH));
        Ef certificate = Inside.key(card, TestCard.SIGN).certificate;
        assertArrayEquals(new byte[certificate.data.length], certificate.data);
    }

    @Test
    void a_wipe_that_the_platform_refuses_half_way_leaves_no_key_usable() throws Exception {
        TestCard card = TestCard.active().openChannel();
        JpkiKey auth = Inside.key(card, TestCard.AUTH);
        Object certificate = Inside.get(auth, "certificate");
        Inside.set(auth, "certificate", null);
        card.admin(0xE4, 0xFF);
        Inside.set(auth, "certificate", certificate);
        assertEquals(JpkiKey.EMPTY, card.state(TestCard.AUTH));
        assertEquals(JpkiKey.EMPTY, card.state(TestCard.SIGN), "EMPTY comes first, for all that is deleted");
        card.select();
        Ef sign = Inside.key(card, TestCard.SIGN).certificate;
        assertArrayEquals(new byte[sign.data.length], sign.data);
    }

    @Test
    void deinstallation_wipes() throws Exception {
        TestCard card = TestCard.active();
        JpkiKey key = Inside.key(card, TestCard.SIGN);
        card.runtime.delete(TestCard.AID);
        assertEquals(JpkiKey.EMPTY, key.state());
        assertFalse(key.privateKey().isInitialized());
        assertArrayEquals(new byte[key.certificate.data.length], key.certificate.data);
    }
}
